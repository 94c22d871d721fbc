// A constant of an ONNX graph: floats or whole numbers with a shape.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace onnx {
class TensorProto;
}

namespace smoothcert {

/// Stands for the batch size, which a graph may compute with but never knows.
inline constexpr std::int64_t kOnnxBatch = INT64_MIN + 1;

struct OnnxTensor {
  std::vector<std::int64_t> shape;
  bool whole = false;  ///< `ints` holds the values, not `floats`
  std::vector<float> floats;
  std::vector<std::int64_t> ints;

  [[nodiscard]] std::size_t size() const { return whole ? ints.size() : floats.size(); }
};

/// Elements of a shape. Throws Error naming `what` above 2^28, or for a negative extent.
std::size_t onnx_elements(const std::vector<std::int64_t>& shape, const std::string& what);

/// The files beside a model that hold its weights; the one read last is kept, since all tensors of
/// a model lie in one.
struct OnnxFolder {
  std::filesystem::path path;  ///< empty: nothing but the model itself is read
  std::string name = {};
  std::vector<std::uint8_t> bytes = {};
};

/// Any floating or whole type; float64, float16 and bfloat16 become float32. Throws Error naming
/// `what`.
OnnxTensor read_onnx_tensor(const onnx::TensorProto& tensor, OnnxFolder& folder,
                            const std::string& what);

}  // namespace smoothcert
