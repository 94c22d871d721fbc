// The base classifier: its description and its parameters.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "smoothcert/network_spec.hpp"

namespace smoothcert {

/// Dense row-major float32 tensor in PyTorch's layout (conv: OIHW, linear: out × in).
struct Tensor {
  std::vector<std::int64_t> shape;
  std::vector<float> data;
};

/// How the parameters came about; kept in the file's metadata.
struct TrainingRecord {
  std::string regime;  ///< "normal", "adversarial", "smoothing", or empty when unknown
  std::string recipe;  ///< recipe name
  double sigma = 0;    ///< Gaussian smoothing noise, in units of [0,1]
  double lambda = 0;   ///< splitting noise, whose offsets are those of `seed`; 0: another noise
  double epsilon = 0;  ///< adversarial budget
  int epochs = 0;
  std::uint64_t seed = 0;
  std::string dataset;  ///< name and hash
  std::string commit;   ///< program version
  std::string backend;  ///< device, library versions, thread count
};

struct Network {
  NetworkSpec spec;
  std::map<std::string, Tensor> tensors;  ///< parameters and BatchNorm running statistics
  TrainingRecord record;
  bool clamp = true;  ///< noisy pixels were clamped to [0,1] in training
  /// Whether the file says so. Where it does not, as in checkpoints of others, `clamp` is false: it
  /// is what the field's codes do.
  bool clamp_recorded = true;
};

/// PyTorch's default initialisation (Kaiming uniform, a = √5) from Philox purpose `initialise`.
Network initialise(NetworkSpec spec, std::uint64_t seed);

/// Throws Error naming the tensor, the shape expected and found; or the NaN.
void validate(const Network& net, const std::string& where);

/// SHA-256 over the canonical description and the sorted tensors; metadata does not enter.
std::string model_hash(const Network& net);

}  // namespace smoothcert
