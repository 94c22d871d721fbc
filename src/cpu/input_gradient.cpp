// Gradients with respect to images, in evaluation mode.
#include <algorithm>
#include <memory>

#include "cpu/training.hpp"
#include "cpu/training_pass.hpp"
#include "smoothcert/error.hpp"

namespace smoothcert::cpu {
namespace {

void check(const NetworkSpec& spec, std::span<const float> images, std::span<const Label> labels,
           std::span<const float> gradient, std::span<const float> logits) {
  const std::size_t count = labels.size(), size = spec.input.size();
  const auto classes = static_cast<std::size_t>(spec.classes);
  if (images.size() != count * size || gradient.size() != count * size ||
      (!logits.empty() && logits.size() != count * classes))
    throw UsageError("input gradient: " + std::to_string(images.size()) + " pixels, " +
                     std::to_string(gradient.size()) + " gradients and " +
                     std::to_string(logits.size()) + " logits do not fit " + std::to_string(count) +
                     " labels, " + std::to_string(size) + " pixels an image and " +
                     std::to_string(classes) + " classes");
  for (const Label label : labels)
    if (label >= classes)
      throw UsageError("input gradient: label " + std::to_string(label) +
                       " is not below the number of classes, " + std::to_string(classes));
}

struct Worker {
  TrainingPass pass;
  Scratch scratch;
};

}  // namespace

void input_gradient(const Network& net, ThreadPool& pool, std::span<const float> images,
                    std::span<const Label> labels, LossKind loss, std::span<float> gradient,
                    std::span<float> logits) {
  check(net.spec, images, labels, gradient, logits);
  if (labels.empty()) return;
  TrainGraph graph(net.spec, active_train_kernels().lanes);
  TrainParameters parameters(graph, net);
  const auto lanes = static_cast<std::size_t>(graph.lanes);
  const std::size_t size = net.spec.input.size(), classes = static_cast<std::size_t>(graph.classes);
  const std::size_t block = static_cast<std::size_t>(kGroups) * lanes;

  Op loss_op;
  loss_op.kind = Op::Kind::loss;
  loss_op.loss = loss;
  std::vector<std::unique_ptr<Worker>> workers(static_cast<std::size_t>(pool.threads()));
  pool.parallel_for((labels.size() + block - 1) / block, [&](std::size_t index, int worker) {
    auto& mine = workers[static_cast<std::size_t>(worker)];
    if (!mine) {
      mine.reset(new Worker{TrainingPass(graph, parameters, kGroups, false, false), {}});
      mine->scratch = mine->pass.make_scratch();
    }
    TrainingPass& pass = mine->pass;
    std::vector<Phase> phases(1);
    pass.append_pass(phases, loss_op, ForwardMode::eval, false);
    const std::size_t first = index * block, end = std::min(labels.size(), first + block);
    const int groups = static_cast<int>((end - first + lanes - 1) / lanes);
    for (int group = 0; group < groups; ++group)
      for (std::size_t l = 0; l < lanes; ++l) {
        const std::size_t image = first + static_cast<std::size_t>(group) * lanes + l;
        // Lanes without an image repeat the last one; nothing reads their results.
        const float* from = images.data() + std::min(image, end - 1) * size;
        float* to = pass.value(0, group) + l;
        for (std::size_t p = 0; p < size; ++p) to[p * lanes] = from[p];
      }
    Batch batch;
    batch.labels = labels.data() + first;
    batch.size = end - first;
    pass.run(phases.front().ops, batch, 0, groups, mine->scratch);
    for (std::size_t image = first; image < end; ++image) {
      const int group = static_cast<int>((image - first) / lanes);
      const std::size_t l = (image - first) % lanes;
      const float* from = pass.gradient(0, group) + l;
      for (std::size_t p = 0; p < size; ++p) gradient[image * size + p] = from[p * lanes];
      if (logits.empty()) continue;
      const float* scores = pass.value(graph.logits, group) + l;
      for (std::size_t c = 0; c < classes; ++c) logits[image * classes + c] = scores[c * lanes];
    }
  });
}

}  // namespace smoothcert::cpu
