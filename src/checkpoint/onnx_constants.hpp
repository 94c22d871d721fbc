// Constant folding: the nodes of an ONNX graph whose inputs are all known, as exporters leave them
// around weights and shapes.
#pragma once

#include <optional>
#include <vector>

#include "checkpoint/onnx_node.hpp"
#include "checkpoint/onnx_tensor.hpp"

namespace smoothcert {

/// The output of a node whose inputs are `in` (null: left out); nothing for an operator that is not
/// folded. Throws Error naming the node where the inputs do not fit it.
std::optional<OnnxTensor> fold_onnx_node(const OnnxNode& node,
                                         const std::vector<const OnnxTensor*>& in,
                                         OnnxFolder& folder);

/// `axis` of `rank`, negative ones from the end. Throws Error naming the node.
std::size_t onnx_axis(const OnnxNode& node, std::int64_t axis, std::size_t rank);

/// What a Slice takes along one axis of `extent` values.
struct OnnxSlice {
  std::int64_t first = 0, count = 0, step = 1;
};
OnnxSlice onnx_slice(std::int64_t start, std::int64_t end, std::int64_t step, std::int64_t extent);

}  // namespace smoothcert
