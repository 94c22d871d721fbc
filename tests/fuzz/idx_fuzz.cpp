// IDX files, plain and gzip.
#include "data/idx.hpp"
#include "fuzz.hpp"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace smoothcert;
  fuzz::expect_error_or_success([&] {
    IdxArray array = parse_idx({data, size}, "FILE");
    std::uint64_t product = 1;
    for (const auto extent : array.dims) product *= extent;
    fuzz::require(product == array.data.size());
    IdxArray labels{{array.dims[0]}, std::vector<std::uint8_t>(array.dims[0] % 4096, 1)};
    const Dataset set =
        dataset_from_idx(std::move(array), "IMAGES", std::move(labels), "LABELS", 10);
    fuzz::require(set.pixels.size() == set.size() * set.shape.size());
  });
  return 0;
}
