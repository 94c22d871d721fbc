// Stands in for the CUDA backend in a CPU build.
#include "smoothcert/backend.hpp"

namespace smoothcert {

std::unique_ptr<Backend> make_cuda_backend(std::string* why) {
  if (why != nullptr) *why = "this program was built without CUDA";
  return nullptr;
}

std::vector<std::string> describe_cuda() { return {"CUDA: not built in"}; }

}  // namespace smoothcert
