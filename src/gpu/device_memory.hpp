// The error that says a GPU has no memory left, so that a smaller batch can be tried.
#pragma once

#include "smoothcert/error.hpp"

namespace smoothcert::gpu {

/// The device has no memory left for what was asked; a smaller batch may fit.
class OutOfDeviceMemory : public Error {
 public:
  using Error::Error;
};

}  // namespace smoothcert::gpu
