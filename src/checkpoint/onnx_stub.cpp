// What a build without libonnx-dev says to an ONNX model.
#include "checkpoint/onnx_network.hpp"
#include "smoothcert/error.hpp"

namespace smoothcert {

Network onnx_network(std::span<const std::uint8_t>, const std::string& where,
                     const std::filesystem::path&, std::vector<std::string>&) {
  throw Error(where +
              ": an ONNX model, which this program was built without; install libonnx-dev and "
              "libprotobuf-dev and build again, or take the model's state dict with --network");
}

}  // namespace smoothcert
