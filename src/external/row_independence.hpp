// Are the rows of a caller's forward pass independent of one another, and repeatable?
#pragma once

#include <span>

#include "cpu/thread_pool.hpp"
#include "external/tile_forward.hpp"
#include "smoothcert/external_model.hpp"

namespace smoothcert::external {

/// The check of ExternalModel::check_rows(). Throws Error where a tile's answers cannot be
/// repeated. Batch dependence is returned, not thrown. `tile` is what the forward pass is called
/// with.
RowFindings check_rows(const Forward& forward, const ExternalModelSettings& settings,
                       const NoiseSpec& noise, std::span<const std::uint8_t> pixels,
                       ThreadPool& pool, std::span<float> tile);

}  // namespace smoothcert::external
