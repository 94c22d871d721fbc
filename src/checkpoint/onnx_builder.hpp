// The network that an ONNX graph becomes, layer by layer, and what the graph's values are in it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "checkpoint/onnx_node.hpp"
#include "checkpoint/onnx_tensor.hpp"
#include "smoothcert/network.hpp"

namespace smoothcert {

/// A value of the graph that depends on the image: a layer's output, seen as `dims` per image, in
/// row-major order. Parts of functions that exporters write out (GELU by erf, a layer
/// normalisation by means and roots) are not layers: `part` says what they are of `layer`.
struct OnnxActivation {
  enum class Part {
    whole,         ///< the layer's output itself
    erf,           ///< erf(x/√2)
    one_plus_erf,  ///< 1 + erf(x/√2)
    normal_cdf,    ///< half of that: Φ(x)
    twice_gelu,
    mean,          ///< over all of an image's values
    centred,       ///< x − mean
    squares,       ///< (x − mean)²
    variance,      ///< their mean
    variance_eps,  ///< variance + number
    deviation,     ///< its root
    inverse_deviation
  };
  int layer = -1;
  std::vector<std::int64_t> dims;
  Part part = Part::whole;
  double number = 0;
  bool shared = false;  ///< the layer is read under another name as well
  /// Where it is a multiple of another value: that value's layer and the factor.
  int multiple_of = -2;
  double factor = 1;
};

/// Channels × rows × columns of dims of rank 1 to 3; of a higher rank, nothing but a reshape reads
/// it. Throws Error naming the node.
ActivationShape onnx_shape(const OnnxNode& node, const std::vector<std::int64_t>& dims);

class OnnxBuilder {
 public:
  /// `room`: how many parameters there may be, so that a small file does not become a large
  /// network.
  OnnxBuilder(std::string name, ImageShape input, std::size_t room);

  /// The layer with its inputs; infers its shape. Throws Error naming the node.
  OnnxActivation add(const OnnxNode& node, Layer layer, const std::vector<OnnxActivation>& inputs);
  /// The same with a name of its own, after its weights where they have one, and with tensors by
  /// their last part.
  OnnxActivation add(const OnnxNode& node, Layer layer, const std::vector<OnnxActivation>& inputs,
                     std::map<std::string, Tensor> tensors, const std::string& weights = "");

  /// x·scale + shift, both of one value or of one for each channel. Joins the one before it where
  /// nothing else reads that.
  OnnxActivation affine(const OnnxNode& node, const OnnxActivation& x, std::vector<double> scale,
                        std::vector<double> shift, bool alone);
  /// A constant of that shape as a layer.
  OnnxActivation constant(const OnnxNode& node, const ActivationShape& shape,
                          std::vector<float> values);
  /// Adds to the bias of a linear layer that has none; false where x is no such layer.
  bool add_bias(const OnnxActivation& x, const std::vector<double>& bias);

  /// The number of a layer that gives x in its own shape.
  int shaped(const OnnxNode& node, const OnnxActivation& x);

  /// The network whose logits x are, without the layers that they do not depend on.
  Network finish(const OnnxNode& node, const OnnxActivation& x);

 private:
  struct Affine {
    std::vector<double> scale, shift;  ///< per channel
  };
  /// The number of the layer, its shape inferred.
  std::size_t append(const OnnxNode& node, Layer layer);
  std::string unique_name(const Layer& layer, const std::string& weights);
  [[nodiscard]] ActivationShape shape_of(int layer) const;
  void set_affine(Layer& layer, const Affine& affine);

  Network net_;
  std::map<int, Affine> affines_;  ///< of normalize layers that affine() made
  std::map<std::string, int> names_;
  std::size_t room_;
};

}  // namespace smoothcert
