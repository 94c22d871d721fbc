// Network descriptions: what is accepted is written as something that reads the same.
#include "fuzz.hpp"
#include "smoothcert/network_spec.hpp"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace smoothcert;
  fuzz::expect_error_or_success([&] {
    const NetworkSpec spec = parse_network_spec(fuzz::text_of({data, size}), "FILE");
    tensor_slots(spec);
    const std::string json = network_spec_json(spec);
    fuzz::require(network_spec_json(parse_network_spec(json, "AGAIN")) == json);
  });
  return 0;
}
