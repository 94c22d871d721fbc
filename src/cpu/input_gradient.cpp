// Gradients with respect to images, in evaluation mode.
#include <algorithm>
#include <memory>

#include "cpu/training.hpp"
#include "cpu/training_layout.hpp"
#include "cpu/training_pass.hpp"
#include "train/epoch_request.hpp"

namespace smoothcert::cpu {
namespace {

struct Worker {
  TrainingPass pass;
  Scratch scratch;
};

}  // namespace

void input_gradient(const Network& net, ThreadPool& pool, std::span<const float> images,
                    std::span<const Label> labels, LossKind loss, std::span<float> gradient,
                    std::span<float> logits) {
  check_input_gradient(net.spec, images, labels, gradient, logits);
  if (labels.empty()) return;
  TrainGraph graph(net.spec, active_train_kernels().lanes);
  TrainParameters parameters(graph, net);
  const auto lanes = static_cast<std::size_t>(graph.lanes);
  const std::size_t size = net.spec.input.size(),
                    classes = static_cast<std::size_t>(graph.plan.classes);
  const std::size_t block = static_cast<std::size_t>(kGroups) * lanes;

  const StepProgram program = gradient_program(loss);
  std::vector<std::unique_ptr<Worker>> workers(static_cast<std::size_t>(pool.threads()));
  pool.parallel_for((labels.size() + block - 1) / block, [&](std::size_t index, int worker) {
    auto& mine = workers[static_cast<std::size_t>(worker)];
    if (!mine) {
      mine.reset(new Worker{TrainingPass(graph, parameters, kGroups, false, false), {}});
      mine->scratch = mine->pass.make_scratch();
    }
    TrainingPass& pass = mine->pass;
    const std::vector<Phase> phases = lay_out_step(pass, program);  // one: groups never meet
    const std::size_t first = index * block, end = std::min(labels.size(), first + block);
    const int groups = static_cast<int>((end - first + lanes - 1) / lanes);
    for (int group = 0; group < groups; ++group)
      for (std::size_t l = 0; l < lanes; ++l) {
        const std::size_t image = first + static_cast<std::size_t>(group) * lanes + l;
        // Lanes without an image repeat the last one; nothing reads their results.
        const float* from = images.data() + std::min(image, end - 1) * size;
        float* to = pass.value(kImage, group) + l;
        for (std::size_t p = 0; p < size; ++p) to[p * lanes] = from[p];
      }
    Batch batch;
    batch.labels = labels.data() + first;
    batch.size = end - first;
    pass.run(phases.front().ops, batch, 0, groups, mine->scratch);
    for (std::size_t image = first; image < end; ++image) {
      const int group = static_cast<int>((image - first) / lanes);
      const std::size_t l = (image - first) % lanes;
      const float* from = pass.gradient(kImage, group) + l;
      for (std::size_t p = 0; p < size; ++p) gradient[image * size + p] = from[p * lanes];
      if (logits.empty()) continue;
      const float* scores = pass.value(graph.plan.logits, group) + l;
      for (std::size_t c = 0; c < classes; ++c) logits[image * classes + c] = scores[c * lanes];
    }
  });
}

}  // namespace smoothcert::cpu
