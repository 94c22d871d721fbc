// The fused fp16 kernel's classifier, computed plainly: direct convolutions over the samples'
// noise, with the kernel's roundings. It shares the folded network with the kernel, and neither its
// packing nor its fragments.
#pragma once

#include <cstdint>
#include <vector>

#include "gpu/fused_network.hpp"
#include "smoothcert/device/lattice_noise.hpp"

namespace smoothcert::simt_test {

/// The network with every weight, gain and bias but the linear layer's biases rounded to fp16.
gpu::FusedNetwork rounded_to_half(gpu::FusedNetwork net);

/// Logits (times the network's power of two) of one noisy input of 784 halves, as doubles; `net` is
/// rounded.
std::vector<float> fused_reference_logits(const gpu::FusedNetwork& net,
                                          const std::vector<double>& input);

/// The noisy lattice input as the kernel feeds it: v·2^−24, rounded to fp16.
std::vector<double> fused_lattice_input(const NoiseSpec& noise, const device::LatticeView& table,
                                        const std::uint8_t* pixels, std::uint32_t purpose,
                                        std::uint32_t image, std::uint32_t sample);
/// Continuous noise by the kernel's formula with the host's logarithm, root, sine and cosine.
std::vector<double> fused_gaussian_input(const NoiseSpec& noise, const std::uint8_t* pixels,
                                         std::uint32_t purpose, std::uint32_t image,
                                         std::uint32_t sample);

}  // namespace smoothcert::simt_test
