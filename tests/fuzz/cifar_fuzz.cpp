// CIFAR's binary files; the first byte chooses the version.
#include "data/cifar.hpp"
#include "fuzz.hpp"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace smoothcert;
  if (size == 0) return 0;
  const int classes = data[0] % 2 == 0 ? 10 : 100;
  fuzz::expect_error_or_success([&] {
    LabelledImages images{3, 32, 32, 0, {}, "X", {}, "Y"};
    append_cifar(images, fuzz::Bytes(data, size).subspan(1), classes, "FILE");
    append_cifar(images, fuzz::Bytes(data, size).subspan(1), classes, "FILE");
    const Dataset set = labelled(std::move(images), classes);
    fuzz::require(set.size() % 2 == 0 && set.pixels.size() == set.size() * 3072);
  });
  return 0;
}
