// Votes of other programs.
#include "fuzz.hpp"
#include "smoothcert/vote_file.hpp"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace smoothcert;
  const fuzz::MemoryFile file({data, size});
  fuzz::expect_error_or_success([&] {
    const VoteFile votes = read_vote_file(file.path());
    for (const VoteRow& row : votes.rows) {
      fuzz::require(row.cells.size() == votes.columns.size());
      fuzz::require(row.votes.n > 0 && row.votes.a <= row.votes.n &&
                    row.votes.second <= row.votes.n - row.votes.a);
    }
  });
  return 0;
}
