// ONNX models: the walk over the graph, constants folded, operators as layers.
#include "checkpoint/onnx_network.hpp"
#include "fuzz.hpp"
#include "network/bytes.hpp"
#include "smoothcert/network_file.hpp"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace smoothcert;
  fuzz::expect_error_or_success([&] {
    std::vector<std::string> notes;
    const Network net = onnx_network(fuzz::Bytes(data, size), "FILE", {}, notes);
    // What was read is a network that can be written and read again.
    const Network again = network_from_safetensors(network_to_safetensors(net, "FILE"), "FILE");
    fuzz::require(model_hash(again) == model_hash(net));
  });
  return 0;
}
