// Ranks over MPI, in a build that has it.
#pragma once

#ifdef SMOOTHCERT_MPI
#include <memory>
#include <string>

#include "mpi/ranks.hpp"

namespace smoothcert::cli {

std::unique_ptr<Ranks> join_mpi();
std::string mpi_library();

}  // namespace smoothcert::cli
#endif
