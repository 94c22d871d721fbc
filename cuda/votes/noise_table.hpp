// The lattice table on one GPU.
#pragma once

#include "cuda/runtime/context.hpp"
#include "smoothcert/device/lattice_noise.hpp"
#include "smoothcert/noise.hpp"

namespace smoothcert::gpu {

/// Empty for continuous noise, which needs no table.
class NoiseTable {
 public:
  NoiseTable() = default;
  NoiseTable(const NoiseSpec& noise, cudaStream_t stream) {
    if (noise.law != NoiseLaw::lattice) return;
    hot_ = upload(noise.table->hot, stream);
    cold_ = upload(noise.table->cold, stream);
    view_ = {hot_.data(), cold_.data(), noise.table->log2_columns, noise.table->offset};
  }
  /// What kernels read; valid while this lives.
  [[nodiscard]] const device::LatticeView& view() const { return view_; }

 private:
  DeviceBuffer<std::uint32_t> hot_, cold_;
  device::LatticeView view_{};
};

}  // namespace smoothcert::gpu
