// The layer engine a GPU uses: cuDNN and cuBLAS where they are built in, the project's own kernels
// for what is missing.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cuda/layers/layer_engine.hpp"
#include "gpu/algorithm_choice.hpp"

namespace smoothcert::gpu {

/// On the calling thread's device, for one stream. The environment variable SMOOTHCERT_GPU_ENGINE
/// chooses: "library" (the default) or "direct" (our own kernels only; fp32 whatever is asked for).
std::unique_ptr<LayerEngine> make_library_engine(MathPrecision precision);

/// What that variable says; throws UsageError for another name.
bool libraries_wanted();

/// What make_library_engine() would be made of, without a device: "cuDNN 9.19.0, cuBLAS 13.1.0".
std::string library_versions();

}  // namespace smoothcert::gpu
