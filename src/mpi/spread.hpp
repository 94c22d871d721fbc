// Rank 0's backend: counts on every rank, itself included.
#pragma once

#ifdef SMOOTHCERT_MPI
#include <memory>

#include "smoothcert/backend.hpp"

namespace smoothcert::cli {

std::unique_ptr<Backend> make_spread_backend(std::unique_ptr<Backend> own, int ranks);

}  // namespace smoothcert::cli
#endif
