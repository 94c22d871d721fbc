// Before the first fast votes on a GPU: one tile whose votes are known beforehand.
#pragma once

#include "cuda/votes/vote_paths.hpp"

namespace smoothcert::gpu {

/// Counts a tile of votes for a bright image on the path of the same kind, with a network made to
/// answer class 1 for a bright image and class 0 for a black one. Fast kernels read pixels as fp16
/// numbers below the normal range; a GPU that takes such operands for 0, which PTX leaves open,
/// would see every image black without a word. Throws Error where a vote is another one.
void self_test(int device, const VotePath& path, const VoteSettings& settings);

}  // namespace smoothcert::gpu
