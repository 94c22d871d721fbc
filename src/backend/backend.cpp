// Choosing a backend by name.
#include "smoothcert/backend.hpp"

#include "smoothcert/error.hpp"
#include "util/nearest_name.hpp"

namespace smoothcert {

std::unique_ptr<Backend> make_backend(const std::string& device, int threads, std::string* note) {
  if (device != "auto" && device != "cpu" && device != "cuda")
    throw UsageError(unknown_name_message("device", device, {"auto", "cpu", "cuda"}));
  std::string why;
  if (device != "cpu") {
    if (auto cuda = make_cuda_backend(&why)) {
      if (note != nullptr) *note = "device: " + cuda->describe();
      return cuda;
    }
    if (device == "cuda") throw Error("--device cuda: " + why);
  }
  auto cpu = make_cpu_backend(threads);
  if (note != nullptr)
    *note = "device: " + cpu->describe() + (why.empty() ? "" : " (no GPU: " + why + ")");
  return cpu;
}

}  // namespace smoothcert
