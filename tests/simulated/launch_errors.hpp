// CUDA's errors of a launch, thrown as the backend's own check throws them.
#pragma once

namespace simulated {

[[noreturn]] void throw_lost(const char* call, const char* file, int line);
[[noreturn]] void throw_invalid_value(const char* call, const char* file, int line);
[[noreturn]] void throw_invalid_handle(const char* call, const char* file, int line);
[[noreturn]] void throw_invalid_configuration(const char* call, const char* file, int line);

}  // namespace simulated
