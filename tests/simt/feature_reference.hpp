// The classifier of the fused feature kernel, computed plainly: direct convolutions and sums with
// the kernel's roundings. It shares the folded network with the kernel, and neither its packing nor
// its fragments.
#pragma once

#include <vector>

#include "gpu/feature_network.hpp"

namespace smoothcert::simt_test {

/// The network with every weight rounded to fp16.
gpu::FeatureNetwork rounded_to_half(gpu::FeatureNetwork net);

/// Pooled outputs of the second convolution in NCHW order, halves as doubles, of one noisy input of
/// 784 halves; `net` is rounded.
std::vector<double> reference_features(const gpu::FeatureNetwork& net,
                                       const std::vector<double>& input);

std::vector<float> reference_logits(const gpu::FeatureNetwork& net,
                                    const std::vector<double>& features);

}  // namespace smoothcert::simt_test
