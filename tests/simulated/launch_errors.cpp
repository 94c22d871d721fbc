// The errors that calls on a simulated GPU end with.
#include "launch_errors.hpp"

#include <cstdlib>

#include "cuda/runtime/check.hpp"

namespace simulated {
namespace {

[[noreturn]] void raise(cudaError_t error, const char* call, const char* file, int line) {
  smoothcert::gpu::check_cuda(error, call, file, line);
  std::abort();
}

}  // namespace

void throw_lost(const char* call, const char* file, int line) {
  raise(cudaErrorIllegalAddress, call, file, line);
}
void throw_invalid_value(const char* call, const char* file, int line) {
  raise(cudaErrorInvalidValue, call, file, line);
}
void throw_invalid_handle(const char* call, const char* file, int line) {
  raise(cudaErrorInvalidResourceHandle, call, file, line);
}
void throw_invalid_configuration(const char* call, const char* file, int line) {
  raise(cudaErrorInvalidConfiguration, call, file, line);
}

}  // namespace simulated
