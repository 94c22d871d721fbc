// safetensors containers, and networks in them.
#include "fuzz.hpp"
#include "network/safetensors.hpp"
#include "smoothcert/network_file.hpp"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace smoothcert;
  fuzz::expect_error_or_success([&] {
    const SafetensorsFile file = parse_safetensors({data, size}, "FILE");
    for (const auto& [name, tensor] : file.tensors) {
      std::size_t product = 1;
      for (const auto extent : tensor.shape) product *= static_cast<std::size_t>(extent);
      fuzz::require(product == tensor.data.size());
    }
  });
  fuzz::expect_error_or_success([&] { network_from_safetensors({data, size}, "FILE"); });
  return 0;
}
