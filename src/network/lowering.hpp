// What the lowerings of a network, for evaluation and for training, read off a layer alike.
#pragma once

#include <optional>

#include "smoothcert/device/activations.hpp"
#include "smoothcert/device/arithmetic.hpp"
#include "smoothcert/network_spec.hpp"

namespace smoothcert {

/// Square, dense, with equal steps and padding: the windows that the tuned kernels know. Those of a
/// pooling must also all begin inside the input and end there or in its padding.
bool is_plain(const WindowShape& windows);

/// The function of an activation layer; none for other kinds.
std::optional<Activation> activation_of(const Layer& layer);

/// How add, sub and mul combine values of these shapes; `kind` must be one of the three.
ArithmeticShape arithmetic_shape(LayerKind kind, const ActivationShape& a, const ActivationShape& b,
                                 const ActivationShape& out);

/// Into how many groups a normalisation over channels cuts them.
int norm_groups(const Layer& layer);

/// Whether a layer only gives its input another name or shape; dropout does so in evaluation.
bool renames_input(LayerKind kind);

/// The part of infer_shapes() that is about the input, or about one layer whose inputs are known.
void check_input(const NetworkSpec& spec);
void infer_layer(NetworkSpec& spec, std::size_t index);

}  // namespace smoothcert
