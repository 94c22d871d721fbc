// Several processes on one sweep: rank 0 works as ever, and shares the counting with the others.
#include "mpi/ranks.hpp"

#include <cstdlib>
#include <cstring>
#include <string>

#include "mpi/mpi_ranks.hpp"
#include "smoothcert/error.hpp"

namespace smoothcert::cli {
namespace {

/// How many ranks the launcher says there are; 0 where nobody launched.
int launched_ranks() {
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"})
    if (const char* size = std::getenv(name); size != nullptr) return std::atoi(size);
  // srun with PMIx tells a rank, not how many there are.
  return std::getenv("PMIX_RANK") != nullptr ? 2 : 0;
}

}  // namespace

std::unique_ptr<Ranks> Ranks::join() {
  const int ranks = launched_ranks();
  if (ranks == 0) return nullptr;
#ifdef SMOOTHCERT_MPI
  return join_mpi();
#else
  if (ranks == 1) return nullptr;
  throw Error(
      "this program was built without MPI, and would do all the work in every rank; install "
      "libopenmpi-dev and build again, or use --shard i/N and 'smoothcert merge'");
#endif
}

std::string Ranks::describe() {
#ifdef SMOOTHCERT_MPI
  return mpi_library();
#else
  return "none in this build";
#endif
}

}  // namespace smoothcert::cli
