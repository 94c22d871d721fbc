// Convolutions by cuDNN: deterministic algorithms only, chosen once per shape, their workspace from
// an arena whose memory never moves (captured graphs hold its addresses).
#if defined(SMOOTHCERT_HAVE_CUDNN)

#include "cuda/layers/cudnn_conv.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

namespace smoothcert::gpu {
namespace {

/// For votes (tf32), room for both sides of a convolution in another layout (tile_sizes.hpp).
std::size_t workspace_limit(MathPrecision precision) {
  return std::size_t{precision == MathPrecision::fp32 ? 256u : 1024u} << 20;
}
constexpr int kMostAnswers = 16;
constexpr float kOne = 1.0f, kZero = 0.0f;

cudnnMathType_t math_type(MathPrecision precision) {
  // The default math mode already permits TF32: fp32 must be asked for.
  return precision == MathPrecision::fp32 ? CUDNN_FMA_MATH : CUDNN_TENSOR_OP_MATH;
}

std::string shape_text(const ConvShape& s) {
  const auto n = [](int v) { return std::to_string(v); };
  return n(s.images) + "×" + n(s.in_channels) + "×" + n(s.in_height) + "×" + n(s.in_width) + " → " +
         n(s.out_channels) + ", " + n(s.kernel) + "×" + n(s.kernel);
}

// Winograd's and Fourier's algorithms round sums, not products: gradients that are zero come out as
// noise around zero, whose signs an L∞ attack would follow.
bool transforms(cudnnConvolutionFwdAlgo_t a) {
  return a == CUDNN_CONVOLUTION_FWD_ALGO_FFT || a == CUDNN_CONVOLUTION_FWD_ALGO_FFT_TILING ||
         a == CUDNN_CONVOLUTION_FWD_ALGO_WINOGRAD ||
         a == CUDNN_CONVOLUTION_FWD_ALGO_WINOGRAD_NONFUSED;
}
bool transforms(cudnnConvolutionBwdDataAlgo_t a) {
  return a == CUDNN_CONVOLUTION_BWD_DATA_ALGO_FFT ||
         a == CUDNN_CONVOLUTION_BWD_DATA_ALGO_FFT_TILING ||
         a == CUDNN_CONVOLUTION_BWD_DATA_ALGO_WINOGRAD ||
         a == CUDNN_CONVOLUTION_BWD_DATA_ALGO_WINOGRAD_NONFUSED;
}
bool transforms(cudnnConvolutionBwdFilterAlgo_t a) {
  return a == CUDNN_CONVOLUTION_BWD_FILTER_ALGO_FFT ||
         a == CUDNN_CONVOLUTION_BWD_FILTER_ALGO_FFT_TILING ||
         a == CUDNN_CONVOLUTION_BWD_FILTER_ALGO_WINOGRAD ||
         a == CUDNN_CONVOLUTION_BWD_FILTER_ALGO_WINOGRAD_NONFUSED;
}

/// Whether the library says that it cannot do this, which it may say of what its heuristics listed.
bool refused(cudnnStatus_t status) {
  return CUDNN_STATUS_CATEGORY(status) == CUDNN_STATUS_NOT_SUPPORTED;
}

/// Index of the heuristics' answer for one direction; `Perf` is that direction's result type.
template <class Perf>
std::optional<std::size_t> pick(const std::vector<Perf>& found, MathPrecision precision) {
  std::vector<AlgorithmCandidate> candidates;
  for (const Perf& p : found) {
    // ALLOW_CONVERSION rounds to halves, with their range.
    const bool works =
        p.status == CUDNN_STATUS_SUCCESS && p.mathType != CUDNN_TENSOR_OP_MATH_ALLOW_CONVERSION;
    candidates.push_back({static_cast<int>(p.algo), works, p.determinism == CUDNN_DETERMINISTIC,
                          p.mathType == CUDNN_TENSOR_OP_MATH, transforms(p.algo), p.memory});
  }
  return choose_algorithm(candidates, precision, workspace_limit(precision));
}

template <class Handle, cudnnStatus_t (*create)(Handle*), cudnnStatus_t (*destroy)(Handle)>
class Descriptor {
 public:
  Descriptor() { SMOOTHCERT_CUDNN(create(&handle_)); }
  ~Descriptor() { destroy(handle_); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  operator Handle() const { return handle_; }  // NOLINT: it stands for the handle

 private:
  Handle handle_ = nullptr;
};

using TensorDescriptor =
    Descriptor<cudnnTensorDescriptor_t, cudnnCreateTensorDescriptor, cudnnDestroyTensorDescriptor>;
using FilterDescriptor =
    Descriptor<cudnnFilterDescriptor_t, cudnnCreateFilterDescriptor, cudnnDestroyFilterDescriptor>;
using ConvolutionDescriptor =
    Descriptor<cudnnConvolutionDescriptor_t, cudnnCreateConvolutionDescriptor,
               cudnnDestroyConvolutionDescriptor>;

/// One direction of one shape: what was chosen for it.
template <class Algorithm>
struct Direction {
  ConvolutionDescriptor conv;  ///< in the algorithm's mathematics
  Algorithm algorithm{};
  bool chosen = false;
  bool direct = false;  ///< cuDNN has none: the project's own kernels do it
  void* workspace = nullptr;
  std::size_t bytes = 0;

  Direction(const ConvShape& s, MathPrecision precision) {
    SMOOTHCERT_CUDNN(cudnnSetConvolution2dDescriptor(conv, s.padding, s.padding, s.stride, s.stride,
                                                     1, 1, CUDNN_CROSS_CORRELATION,
                                                     CUDNN_DATA_FLOAT));
    SMOOTHCERT_CUDNN(cudnnSetConvolutionMathType(conv, math_type(precision)));
  }

  template <class Perf>
  void take(const Perf& perf, MathPrecision precision) {
    // An algorithm's workspace is that of its own mathematics. In fp32 the descriptor forbids
    // tensor cores whatever the answer says.
    if (precision != MathPrecision::fp32) {
      SMOOTHCERT_CUDNN(cudnnSetConvolutionMathType(conv, perf.mathType));
    }
    algorithm = perf.algo;
    bytes = perf.memory;
  }

  [[nodiscard]] std::string text() const { return direct ? "direct" : std::to_string(algorithm); }
};

/// Memory to try an algorithm on once.
struct Trial {
  explicit Trial(const ConvShape& s)
      : in(std::size_t(s.images) * s.in_channels * s.in_height * s.in_width),
        out(std::size_t(s.images) * s.out_channels * s.out_height * s.out_width),
        weights(std::size_t(s.out_channels) * s.in_channels * s.kernel * s.kernel) {}
  OwnedStream stream = make_stream();
  DeviceBuffer<float> in, out, weights;
};

/// Takes the first of the candidates that may be used, whose workspace can be had and that runs
/// once; the project's own kernels where none does. `size` and `run` are cuDNN's calls.
template <class Direction, class Perf, class Size, class Room, class Run>
void choose(Direction& d, std::vector<Perf> found, MathPrecision precision, Size size, Room room,
            Run run) {
  d.direct = false;
  for (;;) {  // nothing is chosen where memory runs out on the way
    const auto index = pick(found, precision);
    if (!index) {
      d.direct = d.chosen = true;
      d.workspace = nullptr;
      d.bytes = 0;
      return;
    }
    d.take(found[*index], precision);
    std::size_t needed = 0;
    cudnnStatus_t status = size(&needed);
    if (status == CUDNN_STATUS_SUCCESS) {
      d.bytes = std::max(d.bytes, needed);
      d.workspace = room(d.bytes);
      status = run();
    }
    if (status == CUDNN_STATUS_SUCCESS) {
      d.chosen = true;
      return;
    }
    if (!refused(status)) check_cudnn(status, "the trial of an algorithm", __FILE__, __LINE__);
    found[*index].status = status;
  }
}

}  // namespace

/// Descriptors, algorithms and workspace of one shape.
struct CudnnConv::Plan {
  TensorDescriptor in, out;
  FilterDescriptor weights;
  Direction<cudnnConvolutionFwdAlgo_t> forward;
  Direction<cudnnConvolutionBwdDataAlgo_t> data;
  Direction<cudnnConvolutionBwdFilterAlgo_t> filter;

  Plan(const ConvShape& s, MathPrecision precision)
      : forward(s, precision), data(s, precision), filter(s, precision) {
    SMOOTHCERT_CUDNN(cudnnSetTensor4dDescriptor(in, CUDNN_TENSOR_NCHW, CUDNN_DATA_FLOAT, s.images,
                                                s.in_channels, s.in_height, s.in_width));
    SMOOTHCERT_CUDNN(cudnnSetTensor4dDescriptor(out, CUDNN_TENSOR_NCHW, CUDNN_DATA_FLOAT, s.images,
                                                s.out_channels, s.out_height, s.out_width));
    SMOOTHCERT_CUDNN(cudnnSetFilter4dDescriptor(weights, CUDNN_DATA_FLOAT, CUDNN_TENSOR_NCHW,
                                                s.out_channels, s.in_channels, s.kernel, s.kernel));
  }
};

CudnnConv::CudnnConv(MathPrecision precision) : precision_(precision) {
  SMOOTHCERT_CUDNN(cudnnCreate(&handle_));
}

CudnnConv::~CudnnConv() {
  plans_.clear();
  if (handle_) cudnnDestroy(handle_);
}

void* CudnnConv::workspace(std::size_t bytes) {
  if (bytes == 0) return nullptr;
  for (const auto& chunk : arena_) {
    if (chunk.size() >= bytes) return chunk.data();
  }
  arena_.emplace_back(bytes);  // older chunks stay where they are
  return arena_.back().data();
}

void CudnnConv::choose_forward(Plan& p, const ConvShape& shape) {
  if (p.forward.chosen) return;
  int count = 0;
  std::vector<cudnnConvolutionFwdAlgoPerf_t> found(kMostAnswers);
  SMOOTHCERT_CUDNN(cudnnGetConvolutionForwardAlgorithm_v7(
      handle_, p.in, p.weights, p.forward.conv, p.out, kMostAnswers, &count, found.data()));
  found.resize(static_cast<std::size_t>(count));
  const Trial trial(shape);
  SMOOTHCERT_CUDNN(cudnnSetStream(handle_, trial.stream.get()));
  choose(
      p.forward, std::move(found), precision_,
      [&](std::size_t* bytes) {
        return cudnnGetConvolutionForwardWorkspaceSize(handle_, p.in, p.weights, p.forward.conv,
                                                       p.out, p.forward.algorithm, bytes);
      },
      [&](std::size_t bytes) { return workspace(bytes); },
      [&] {
        return cudnnConvolutionForward(handle_, &kOne, p.in, trial.in.data(), p.weights,
                                       trial.weights.data(), p.forward.conv, p.forward.algorithm,
                                       p.forward.workspace, p.forward.bytes, &kZero, p.out,
                                       trial.out.data());
      });
  SMOOTHCERT_CUDA(cudaStreamSynchronize(trial.stream.get()));
}

void CudnnConv::choose_gradients(Plan& p, const ConvShape& shape) {
  if (p.filter.chosen) return;
  int count = 0;
  std::vector<cudnnConvolutionBwdDataAlgoPerf_t> data(kMostAnswers);
  SMOOTHCERT_CUDNN(cudnnGetConvolutionBackwardDataAlgorithm_v7(
      handle_, p.weights, p.out, p.data.conv, p.in, kMostAnswers, &count, data.data()));
  data.resize(static_cast<std::size_t>(count));
  std::vector<cudnnConvolutionBwdFilterAlgoPerf_t> filter(kMostAnswers);
  SMOOTHCERT_CUDNN(cudnnGetConvolutionBackwardFilterAlgorithm_v7(
      handle_, p.in, p.out, p.filter.conv, p.weights, kMostAnswers, &count, filter.data()));
  filter.resize(static_cast<std::size_t>(count));
  const Trial trial(shape);
  SMOOTHCERT_CUDNN(cudnnSetStream(handle_, trial.stream.get()));
  const auto room = [&](std::size_t bytes) { return workspace(bytes); };
  choose(
      p.data, std::move(data), precision_,
      [&](std::size_t* bytes) {
        return cudnnGetConvolutionBackwardDataWorkspaceSize(handle_, p.weights, p.out, p.data.conv,
                                                            p.in, p.data.algorithm, bytes);
      },
      room,
      [&] {
        return cudnnConvolutionBackwardData(
            handle_, &kOne, p.weights, trial.weights.data(), p.out, trial.out.data(), p.data.conv,
            p.data.algorithm, p.data.workspace, p.data.bytes, &kZero, p.in, trial.in.data());
      });
  choose(
      p.filter, std::move(filter), precision_,
      [&](std::size_t* bytes) {
        return cudnnGetConvolutionBackwardFilterWorkspaceSize(handle_, p.in, p.out, p.filter.conv,
                                                              p.weights, p.filter.algorithm, bytes);
      },
      room,
      [&] {
        return cudnnConvolutionBackwardFilter(handle_, &kOne, p.in, trial.in.data(), p.out,
                                              trial.out.data(), p.filter.conv, p.filter.algorithm,
                                              p.filter.workspace, p.filter.bytes, &kZero, p.weights,
                                              trial.weights.data());
      });
  SMOOTHCERT_CUDA(cudaStreamSynchronize(trial.stream.get()));
}

CudnnConv::Directly CudnnConv::direct(const ConvShape& shape) {
  const Plan& p = plan_of(shape);
  return {p.forward.direct, p.data.direct, p.filter.direct};
}

void CudnnConv::prepare(const ConvShape& shape, bool gradients) {
  Plan& plan = plan_of(shape);
  choose_forward(plan, shape);
  if (gradients) choose_gradients(plan, shape);
}

CudnnConv::Plan& CudnnConv::plan_of(const ConvShape& shape) {
  for (const auto& [known, plan] : plans_) {
    if (known == shape) return *plan;
  }
  plans_.emplace_back(shape, std::make_unique<Plan>(shape, precision_));
  return *plans_.back().second;
}

void CudnnConv::forward(cudaStream_t stream, const ConvShape& shape, const float* in,
                        const float* weights, float* out) {
  Plan& p = plan_of(shape);
  choose_forward(p, shape);
  SMOOTHCERT_CUDNN(cudnnSetStream(handle_, stream));
  SMOOTHCERT_CUDNN(cudnnConvolutionForward(handle_, &kOne, p.in, in, p.weights, weights,
                                           p.forward.conv, p.forward.algorithm, p.forward.workspace,
                                           p.forward.bytes, &kZero, p.out, out));
}

void CudnnConv::input_gradient(cudaStream_t stream, const ConvShape& shape,
                               const float* out_gradient, const float* weights, bool add,
                               float* in_gradient) {
  Plan& p = plan_of(shape);
  choose_gradients(p, shape);
  SMOOTHCERT_CUDNN(cudnnSetStream(handle_, stream));
  SMOOTHCERT_CUDNN(cudnnConvolutionBackwardData(
      handle_, &kOne, p.weights, weights, p.out, out_gradient, p.data.conv, p.data.algorithm,
      p.data.workspace, p.data.bytes, add ? &kOne : &kZero, p.in, in_gradient));
}

void CudnnConv::weight_gradient(cudaStream_t stream, const ConvShape& shape, const float* in,
                                const float* out_gradient, bool add, float* gradient) {
  Plan& p = plan_of(shape);
  choose_gradients(p, shape);
  SMOOTHCERT_CUDNN(cudnnSetStream(handle_, stream));
  SMOOTHCERT_CUDNN(cudnnConvolutionBackwardFilter(
      handle_, &kOne, p.in, in, p.out, out_gradient, p.filter.conv, p.filter.algorithm,
      p.filter.workspace, p.filter.bytes, add ? &kOne : &kZero, p.weights, gradient));
}

std::string CudnnConv::describe() const {
  const std::size_t v = cudnnGetVersion();
  return "cuDNN " + std::to_string(v / 10000) + "." + std::to_string(v / 100 % 100) + "." +
         std::to_string(v % 100) + (precision_ == MathPrecision::fp32 ? " fp32" : " tf32");
}

std::vector<std::string> CudnnConv::algorithms() const {
  std::vector<std::string> lines;
  for (const auto& [shape, plan] : plans_) {
    std::string line = shape_text(shape) + ": forward " + plan->forward.text();
    if (plan->filter.chosen)
      line += ", data " + plan->data.text() + ", filter " + plan->filter.text();
    lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace smoothcert::gpu

#endif
