// The operators of ONNX that become layers.
#pragma once

#include <variant>

#include "checkpoint/onnx_builder.hpp"

namespace smoothcert {

/// A value of the graph: known, or one that depends on the image. Left out: neither.
using OnnxValue = std::variant<std::monostate, OnnxTensor, OnnxActivation>;

/// What an operator sees of the graph around its node.
struct OnnxContext {
  OnnxBuilder& builder;
  const OnnxNode& node;
  std::vector<const OnnxValue*> in;
  std::vector<bool> alone;  ///< nothing else reads that input
};

/// The outputs of a node of which an input depends on the image. Throws Error naming the node where
/// its operator, or what it asks for, is not known.
std::vector<OnnxValue> apply_onnx_node(const OnnxContext& context);

// Of one group each; false where the operator is not of it.
bool apply_onnx_activation(const OnnxContext& context, std::vector<OnnxValue>& out);
bool apply_onnx_arithmetic(const OnnxContext& context, std::vector<OnnxValue>& out);
bool apply_onnx_windows(const OnnxContext& context, std::vector<OnnxValue>& out);
bool apply_onnx_shapes(const OnnxContext& context, std::vector<OnnxValue>& out);
bool apply_onnx_norms(const OnnxContext& context, std::vector<OnnxValue>& out);

/// Input i as an activation or as a constant. Throws Error naming the node where it is not.
const OnnxActivation& onnx_activation(const OnnxContext& context, std::size_t i);
const OnnxTensor& onnx_constant(const OnnxContext& context, std::size_t i);
/// Null where it is left out.
const OnnxTensor* onnx_optional(const OnnxContext& context, std::size_t i);
/// The only number in it. Throws Error naming the node.
double onnx_number(const OnnxContext& context, const OnnxTensor& tensor);
/// `count` floats. Throws Error naming the node.
Tensor onnx_floats(const OnnxContext& context, const OnnxTensor& tensor,
                   std::vector<std::int64_t> shape);

/// x with one channel's worth of zeros and ones: a selection of channels, in that order.
OnnxActivation onnx_select(const OnnxContext& context, const OnnxActivation& x,
                           const std::vector<std::int64_t>& channels);
/// Rows and columns from (top, left) on, at steps; negative beginnings and ends beyond the last are
/// zeros.
struct OnnxCrop {
  std::int64_t first = 0, count = 1, step = 1;
};
OnnxActivation onnx_crop(const OnnxContext& context, const OnnxActivation& x, const OnnxCrop& rows,
                         const OnnxCrop& columns);

}  // namespace smoothcert
