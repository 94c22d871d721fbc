// Several processes on one sweep: rank 0 works as ever, and shares the counting with the others.
#pragma once

#include <memory>

#include "smoothcert/backend.hpp"

namespace smoothcert::cli {

/// The processes that one mpirun (or srun) started. Rank 0 owns the store and hands out jobs as
/// they are asked for; the others count. Votes do not depend on who counts them, so the store is
/// the same for any number of ranks. Where a rank is lost the launcher ends the others: what was
/// stored stays, and the same command goes on.
class Ranks {
 public:
  /// nullptr where the program was started on its own. Chooses the rank's GPU, so call it before
  /// any backend is made. Throws Error where the launcher started several ranks of a program that
  /// was built without MPI.
  static std::unique_ptr<Ranks> join();
  /// "Open MPI 4.1", or why there is none.
  static std::string describe();

  virtual ~Ranks() = default;  ///< rank 0 lets the others go
  [[nodiscard]] virtual bool leads() const = 0;
  /// Not on rank 0: counts what rank 0 asks for until it is done.
  virtual void serve(Backend& own) = 0;
  /// On rank 0: a backend that counts on all ranks, and does everything else on its own.
  virtual std::unique_ptr<Backend> spread(std::unique_ptr<Backend> own) = 0;
};

}  // namespace smoothcert::cli
