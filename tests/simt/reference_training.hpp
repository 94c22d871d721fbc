// Training done plainly, in double: a forward pass written from the layers' definitions, gradients
// by central differences. Knows nothing of backward passes, so it cannot share their mistakes.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "smoothcert/attack_spec.hpp"
#include "smoothcert/network.hpp"

namespace smoothcert::simt_test {

using Values = std::vector<double>;  ///< of one image or tensor
using Batch = std::vector<Values>;

class ReferenceNetwork {
 public:
  explicit ReferenceNetwork(const Network& net);

  /// Logits. `train`: the batch's statistics; `update`: move the running ones.
  Batch forward(const Batch& images, bool train, bool update);

  /// Mean over the batch.
  double loss(const Batch& images, const std::vector<Label>& labels, LossKind kind, bool train);
  double accuracy(const Batch& images, const std::vector<Label>& labels, bool train);

  /// ∂(mean loss)/∂parameter, by name.
  std::map<std::string, Values> gradients(const Batch& images, const std::vector<Label>& labels);
  /// ∂(sum of losses)/∂pixel.
  Batch input_gradient(Batch images, const std::vector<Label>& labels, LossKind kind, bool train);

  std::map<std::string, Values> tensors;

 private:
  Batch layer(const Layer& l, const std::vector<Batch>& values, const Batch& images, bool train,
              bool update);
  void batchnorm(const Layer& l, Batch& x, std::size_t area, bool train, bool update);

  NetworkSpec spec_;
};

/// One image's losses, from its logits.
double reference_loss(const Values& logits, int label, LossKind kind);

/// One attack step on one image, in double; clamped (and projected for PGD).
void reference_attack_step(AttackKind kind, const Values& gradient, double length, double epsilon,
                           const Values& clean, Values& x);

}  // namespace smoothcert::simt_test
