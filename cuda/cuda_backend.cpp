// The CUDA backend behind the seam.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <set>
#include <utility>

#include "cuda/layers/library_engine.hpp"
#include "cuda/runtime/context.hpp"
#include "cuda/train/gpu_trainer.hpp"
#include "cuda/votes/exact_pass.hpp"
#include "cuda/votes/self_test.hpp"
#include "cuda/votes/vote_device.hpp"
#include "cuda/votes/vote_paths.hpp"
#include "smoothcert/backend.hpp"
#include "smoothcert/error.hpp"

namespace smoothcert {
namespace gpu {
namespace {

/// What a run has to say while it goes on: less memory than hoped for.
void note(const std::string& line) { std::fprintf(stderr, "smoothcert: %s\n", line.c_str()); }

class CudaModel final : public BackendModel {
 public:
  CudaModel(Network net, std::vector<int> devices)
      : net_(std::move(net)), devices_(std::move(devices)) {}

  const NetworkSpec& spec() const override { return net_.spec; }

  void upload(const Network& net) override {
    validate(net, "network");
    net_.tensors = net.tensors;
    if (trainer_) trainer_->changed();
    forget_plans();
  }
  /// The engine and its algorithms join the record of a network that was trained here.
  void download(Network& net) const override {
    net.tensors = net_.tensors;
    if (!trained_ || net.record.backend.empty()) return;
    const std::string engine = trainer_->describe();
    if (net.record.backend.find(engine) == std::string::npos) net.record.backend += "; " + engine;
  }
  void upload(const OptimizerState& state) override { optimizer_ = state; }
  void download(OptimizerState& state) const override { state = optimizer_; }

  EpochReport train_epoch(const EpochRequest& request) override {
    require_gradients(net_.spec, "training");
    forget_plans();  // before, since training wants their memory
    EpochReport report = trainer().train_epoch(request, net_, optimizer_);
    trained_ = true;
    return report;
  }

  void forward(std::span<const float> images, std::span<float> logits) override {
    const DevicePlan& plan = *plans().front();
    const std::size_t size = plan.plan.input.size();
    const auto classes = static_cast<std::size_t>(plan.plan.classes);
    const std::size_t count = images.size() / size;
    if (images.size() != count * size || logits.size() != count * classes) {
      throw UsageError("forward: " + std::to_string(images.size()) + " input and " +
                       std::to_string(logits.size()) + " output values do not fit the network");
    }
    const DeviceScope scope(plan.device);
    const OwnedStream stream = make_stream();
    constexpr std::size_t kBatch = 4096;
    const std::size_t pitch = value_pitch(static_cast<std::uint32_t>(std::min(count, kBatch)));
    const DeviceBuffer<float> staging(pitch * std::max(size, classes));
    const DeviceBuffer<float> values(plan.layout.total * pitch);
    for (std::size_t first = 0; first < count; first += kBatch) {
      const auto n = static_cast<std::uint32_t>(std::min(kBatch, count - first));
      copy_to_device(staging.data(), images.data() + first * size, n * size, stream.get());
      transpose(stream.get(), staging.data(), values.data() + pitch * plan.layout.image, n,
                static_cast<std::uint32_t>(size), size, pitch);
      const float* out = run_plan(stream.get(), plan.plan, plan.layout, plan.params.data(),
                                  values.data(), n, pitch);
      transpose(stream.get(), out, staging.data(), static_cast<std::uint32_t>(classes), n, pitch,
                classes);
      copy_to_host(logits.data() + first * classes, staging.data(), n * classes, stream.get());
      SMOOTHCERT_CUDA(cudaStreamSynchronize(stream.get()));
    }
  }

  void input_gradient(std::span<const float> images, std::span<const Label> labels, LossKind loss,
                      std::span<float> gradient, std::span<float> logits) override {
    try {
      trainer().input_gradient(net_, images, labels, loss, gradient, logits);
    } catch (const OutOfDeviceMemory&) {
      if (kept_.empty()) throw;
      kept_.clear();  // of votes that may never be counted again
      trainer().input_gradient(net_, images, labels, loss, gradient, logits);
    }
  }

  std::unique_ptr<VoteRun> count_votes(const VoteSettings& settings, std::vector<VoteJob> jobs,
                                       std::function<void(const VoteResult&)> on_result) override {
    require_drawable(settings.noise, "votes");
    for (const VoteJob& job : jobs)
      if (job.last > samples_of(settings.noise))
        throw UsageError("votes: samples " + std::to_string(job.first) + " to " +
                         std::to_string(job.last) + " are not a range " +
                         samples_text(settings.noise));
    if (!kept_fits(settings)) kept_.clear();  // first, since the new ones want its memory
    const VotePath path = choose_vote_path(plans(), settings);
    if (kept_.empty()) {
      // Once a model and path: a run that has votes has passed.
      if (tested_.insert(path.probe).second)
        for (const int device : devices_) self_test(device, path, settings);
      std::vector<std::unique_ptr<VoteDevice>> devices;
      for (std::size_t i = 0; i < devices_.size(); ++i) devices.push_back(path.make(i));
      kept_ = keep(std::move(devices));
      kept_settings_ = settings;
    }
    auto scheduler =
        std::make_unique<VoteScheduler>(std::move(jobs), net_.spec.classes, std::move(on_result));
    return start_vote_run(std::move(scheduler), kept_, path.batch, path.least, note);
  }

  std::string describe_votes(const VoteSettings& settings) const override {
    return choose_vote_path(plans(), settings).describe();
  }

 private:
  /// Whether the devices of the last run can count these votes: set-up costs as much as a window of
  /// votes on small networks.
  [[nodiscard]] bool kept_fits(const VoteSettings& s) const {
    const NoiseSpec &ours = kept_settings_.noise, &noise = s.noise;
    return !kept_.empty() && kept_settings_.mode == s.mode && kept_settings_.fused == s.fused &&
           ours.law == noise.law && ours.sigma == noise.sigma && ours.clamp == noise.clamp &&
           ours.seed == noise.seed && ours.table == noise.table && ours.width == noise.width &&
           std::ranges::none_of(kept_, [](const std::shared_ptr<KeptVoteDevice>& kept) {
             return kept->failed || kept.use_count() > 1;  // more: another run has them
           });
  }
  /// The network has other parameters now.
  void forget_plans() {
    plans_.clear();
    kept_.clear();
  }

  /// Training runs on the first GPU; made when first needed, since votes do without.
  GpuTrainer& trainer() {
    if (!trainer_) trainer_ = std::make_unique<GpuTrainer>(devices_.front(), net_.spec);
    return *trainer_;
  }

  /// The lowered network on every device; made anew only when votes or logits are asked for, since
  /// an epoch of training is short.
  const DevicePlans& plans() const {
    if (plans_.empty()) {
      const InferencePlan plan = make_inference_plan(net_);
      for (const int device : devices_) plans_.push_back(make_device_plan(device, plan));
    }
    return plans_;
  }

  Network net_;
  std::vector<int> devices_;
  mutable DevicePlans plans_;
  KeptVoteDevices kept_;
  VoteSettings kept_settings_;
  std::set<std::string> tested_;  ///< probes that self_test() has seen right
  OptimizerState optimizer_;
  std::unique_ptr<GpuTrainer> trainer_;
  bool trained_ = false;
};

class CudaBackend final : public Backend {
 public:
  CudaBackend() {
    int count = 0;
    SMOOTHCERT_CUDA(cudaGetDeviceCount(&count));
    DeviceChoice choice = choose_devices(count);
    devices_ = std::move(choice.devices);
    left_out_ = std::move(choice.left_out);
  }
  std::string name() const override { return "cuda"; }
  std::string describe() const override {
    std::string text = "cuda, " + describe_device(devices_.front());
    if (devices_.size() > 1) text += ", " + std::to_string(devices_.size()) + " GPUs";
    text += ", " + library_versions();
    for (const std::string& line : left_out_) text += "; left out: " + line;
    return text;
  }
  std::unique_ptr<BackendModel> load(const Network& net) override {
    validate(net, "network");
    return std::make_unique<CudaModel>(net, devices_);
  }

 private:
  std::vector<int> devices_;
  std::vector<std::string> left_out_;
};

}  // namespace
}  // namespace gpu

std::unique_ptr<Backend> make_cuda_backend(std::string* why) {
  if (!gpu::cuda_usable(why)) return nullptr;
  return std::make_unique<gpu::CudaBackend>();
}

std::vector<std::string> describe_cuda() {
  std::vector<std::string> lines{"CUDA libraries: runtime " + gpu::version_text(CUDART_VERSION) +
                                 ", " + gpu::library_versions()};
  std::string why;
  if (!gpu::cuda_usable(&why)) {
    lines.push_back("CUDA: " + why);
    return lines;
  }
  int count = 0;
  SMOOTHCERT_CUDA(cudaGetDeviceCount(&count));
  for (int d = 0; d < count; ++d) {
    lines.push_back("CUDA device " + std::to_string(d) + ": " + gpu::describe_device(d));
  }
  return lines;
}

}  // namespace smoothcert
