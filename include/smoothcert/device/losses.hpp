// Losses on the logits of one image and their gradients: ∂loss/∂logit. Scalar, because a row of
// logits is short; everything wide happens in the layers.
//
// `Logits` is anything with operator[](int): a pointer, or a Strided row of a lane layout.
#pragma once

#if !defined(__CUDACC__)
#include <math.h>
#endif

#include "smoothcert/device/hd.hpp"

namespace smoothcert::device {
inline namespace SMOOTHCERT_ISA {

/// Element i of a row whose elements are `stride` floats apart.
template <class T>
struct Strided {
  T* data;
  int stride;
  SMOOTHCERT_HD T& operator[](int i) const { return data[i * stride]; }
};

template <class Logits>
SMOOTHCERT_HD float largest_logit(const Logits& logits, int classes) {
  float top = logits[0];
  for (int c = 1; c < classes; ++c)
    if (logits[c] > top) top = logits[c];
  return top;
}

/// −log softmax(logits)[label], and scale · (softmax − onehot) into `gradient`. Shifted by the
/// largest logit, so that no finite logits overflow. The label's entry is minus the sum of the
/// others: softmax − 1 would round to zero for a confident network and hide its gradient.
template <class Logits, class Gradient>
SMOOTHCERT_HD float cross_entropy(const Logits& logits, int classes, int label, float scale,
                                  const Gradient& gradient) {
  const float top = largest_logit(logits, classes);
  float sum = 0;
  for (int c = 0; c < classes; ++c) {
    const float e = expf(logits[c] - top);
    gradient[c] = e;
    sum += e;
  }
  const float share = scale / sum;
  float others = 0;
  for (int c = 0; c < classes; ++c) {
    const float g = gradient[c] * share;
    gradient[c] = g;
    if (c != label) others += g;
  }
  gradient[label] = -others;
  return logf(sum) - (logits[label] - top);
}

/// Largest other logit − true logit (Carlini & Wagner 2017, f₆ without the hinge): positive where
/// the image is misclassified. The lowest of equal logits takes the gradient.
template <class Logits, class Gradient>
SMOOTHCERT_HD float margin_loss(const Logits& logits, int classes, int label, float scale,
                                const Gradient& gradient) {
  int other = label == 0 ? 1 : 0;
  for (int c = 0; c < classes; ++c) {
    gradient[c] = 0.0f;
    if (c != label && logits[c] > logits[other]) other = c;
  }
  gradient[other] = scale;
  gradient[label] = -scale;
  return logits[other] - logits[label];
}

}  // namespace SMOOTHCERT_ISA
}  // namespace smoothcert::device
