#if defined(SMOOTHCERT_HAVE_CUDNN)

#include "cudnn_conv.hpp"

#include <algorithm>
#include <memory>

namespace smoothcert::gpu {
namespace {

constexpr std::size_t kWorkspaceLimit = std::size_t{256} << 20;
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

/// The heuristics' answer for one direction; `Perf` is that direction's result type.
template <class Perf>
Perf pick(const std::vector<Perf>& found, MathPrecision precision, const char* direction,
          const ConvShape& shape) {
  std::vector<AlgorithmCandidate> candidates;
  for (const Perf& p : found) {
    candidates.push_back(
        {static_cast<int>(p.algo), p.status == CUDNN_STATUS_SUCCESS,
         p.determinism == CUDNN_DETERMINISTIC,
         p.mathType == CUDNN_TENSOR_OP_MATH || p.mathType == CUDNN_TENSOR_OP_MATH_ALLOW_CONVERSION,
         p.memory});
  }
  const auto index = choose_algorithm(candidates, precision, kWorkspaceLimit);
  if (!index) {
    throw Error(std::string("cuDNN: no deterministic ") + direction + " algorithm for " +
                shape_text(shape) +
                "; SMOOTHCERT_GPU_ENGINE=direct uses the project's own kernels");
  }
  return found[*index];
}

}  // namespace

/// Descriptors, algorithms and workspace of one shape.
struct CudnnConv::Plan {
  cudnnTensorDescriptor_t in = nullptr, out = nullptr;
  cudnnFilterDescriptor_t weights = nullptr;
  cudnnConvolutionDescriptor_t conv = nullptr;
  cudnnConvolutionFwdAlgo_t forward{};
  cudnnConvolutionBwdDataAlgo_t data{};
  cudnnConvolutionBwdFilterAlgo_t filter{};
  void* workspace = nullptr;
  std::size_t workspace_bytes = 0;

  Plan(const ConvShape& s, MathPrecision precision) {
    SMOOTHCERT_CUDNN(cudnnCreateTensorDescriptor(&in));
    SMOOTHCERT_CUDNN(cudnnCreateTensorDescriptor(&out));
    SMOOTHCERT_CUDNN(cudnnCreateFilterDescriptor(&weights));
    SMOOTHCERT_CUDNN(cudnnCreateConvolutionDescriptor(&conv));
    SMOOTHCERT_CUDNN(cudnnSetTensor4dDescriptor(in, CUDNN_TENSOR_NCHW, CUDNN_DATA_FLOAT, s.images,
                                                s.in_channels, s.in_height, s.in_width));
    SMOOTHCERT_CUDNN(cudnnSetTensor4dDescriptor(out, CUDNN_TENSOR_NCHW, CUDNN_DATA_FLOAT, s.images,
                                                s.out_channels, s.out_height, s.out_width));
    SMOOTHCERT_CUDNN(cudnnSetFilter4dDescriptor(weights, CUDNN_DATA_FLOAT, CUDNN_TENSOR_NCHW,
                                                s.out_channels, s.in_channels, s.kernel, s.kernel));
    SMOOTHCERT_CUDNN(cudnnSetConvolution2dDescriptor(conv, s.padding, s.padding, s.stride, s.stride,
                                                     1, 1, CUDNN_CROSS_CORRELATION,
                                                     CUDNN_DATA_FLOAT));
    SMOOTHCERT_CUDNN(cudnnSetConvolutionMathType(conv, math_type(precision)));
  }
  ~Plan() {
    if (conv) cudnnDestroyConvolutionDescriptor(conv);
    if (weights) cudnnDestroyFilterDescriptor(weights);
    if (out) cudnnDestroyTensorDescriptor(out);
    if (in) cudnnDestroyTensorDescriptor(in);
  }
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;
};

CudnnConv::CudnnConv(MathPrecision precision) : precision_(precision) {
  SMOOTHCERT_CUDNN(cudnnCreate(&handle_));
}

CudnnConv::~CudnnConv() {
  plans_.clear();
  if (handle_) cudnnDestroy(handle_);
}

void* CudnnConv::workspace(std::size_t bytes) {
  for (const auto& chunk : arena_) {
    if (chunk.size() >= bytes) return chunk.data();
  }
  arena_.emplace_back(bytes);  // older chunks stay where they are
  return arena_.back().data();
}

void CudnnConv::choose(Plan& plan, const ConvShape& shape) {
  constexpr int kMost = 16;
  int count = 0;
  std::vector<cudnnConvolutionFwdAlgoPerf_t> forward(kMost);
  SMOOTHCERT_CUDNN(cudnnGetConvolutionForwardAlgorithm_v7(handle_, plan.in, plan.weights, plan.conv,
                                                          plan.out, kMost, &count, forward.data()));
  forward.resize(static_cast<std::size_t>(count));
  const auto f = pick(forward, precision_, "forward", shape);

  std::vector<cudnnConvolutionBwdDataAlgoPerf_t> data(kMost);
  SMOOTHCERT_CUDNN(cudnnGetConvolutionBackwardDataAlgorithm_v7(
      handle_, plan.weights, plan.out, plan.conv, plan.in, kMost, &count, data.data()));
  data.resize(static_cast<std::size_t>(count));
  const auto d = pick(data, precision_, "data-gradient", shape);

  std::vector<cudnnConvolutionBwdFilterAlgoPerf_t> filter(kMost);
  SMOOTHCERT_CUDNN(cudnnGetConvolutionBackwardFilterAlgorithm_v7(
      handle_, plan.in, plan.out, plan.conv, plan.weights, kMost, &count, filter.data()));
  filter.resize(static_cast<std::size_t>(count));
  const auto w = pick(filter, precision_, "filter-gradient", shape);

  plan.forward = f.algo;
  plan.data = d.algo;
  plan.filter = w.algo;
  plan.workspace_bytes = std::max({f.memory, d.memory, w.memory});
  if (plan.workspace_bytes > 0) plan.workspace = workspace(plan.workspace_bytes);
}

void CudnnConv::prepare(const ConvShape& shape) { plan_of(shape); }

CudnnConv::Plan& CudnnConv::plan_of(const ConvShape& shape) {
  for (const auto& [known, plan] : plans_) {
    if (known == shape) return *plan;
  }
  auto plan = std::make_unique<Plan>(shape, precision_);
  choose(*plan, shape);
  plans_.emplace_back(shape, std::move(plan));
  return *plans_.back().second;
}

void CudnnConv::forward(cudaStream_t stream, const ConvShape& shape, const float* in,
                        const float* weights, float* out) {
  const Plan& p = plan_of(shape);
  SMOOTHCERT_CUDNN(cudnnSetStream(handle_, stream));
  SMOOTHCERT_CUDNN(cudnnConvolutionForward(handle_, &kOne, p.in, in, p.weights, weights, p.conv,
                                           p.forward, p.workspace, p.workspace_bytes, &kZero, p.out,
                                           out));
}

void CudnnConv::input_gradient(cudaStream_t stream, const ConvShape& shape,
                               const float* out_gradient, const float* weights, bool add,
                               float* in_gradient) {
  const Plan& p = plan_of(shape);
  SMOOTHCERT_CUDNN(cudnnSetStream(handle_, stream));
  SMOOTHCERT_CUDNN(cudnnConvolutionBackwardData(
      handle_, &kOne, p.weights, weights, p.out, out_gradient, p.conv, p.data, p.workspace,
      p.workspace_bytes, add ? &kOne : &kZero, p.in, in_gradient));
}

void CudnnConv::weight_gradient(cudaStream_t stream, const ConvShape& shape, const float* in,
                                const float* out_gradient, bool add, float* gradient) {
  const Plan& p = plan_of(shape);
  SMOOTHCERT_CUDNN(cudnnSetStream(handle_, stream));
  SMOOTHCERT_CUDNN(cudnnConvolutionBackwardFilter(handle_, &kOne, p.in, in, p.out, out_gradient,
                                                  p.conv, p.filter, p.workspace, p.workspace_bytes,
                                                  add ? &kOne : &kZero, p.weights, gradient));
}

std::string CudnnConv::describe() const {
  const std::size_t v = cudnnGetVersion();
  return "cuDNN " + std::to_string(v / 10000) + "." + std::to_string(v / 100 % 100) + "." +
         std::to_string(v % 100) + (precision_ == MathPrecision::fp32 ? " fp32" : " tf32");
}

std::vector<std::string> CudnnConv::algorithms() const {
  std::vector<std::string> lines;
  for (const auto& [shape, plan] : plans_) {
    lines.push_back(shape_text(shape) + ": forward " + std::to_string(plan->forward) + ", data " +
                    std::to_string(plan->data) + ", filter " + std::to_string(plan->filter));
  }
  return lines;
}

}  // namespace smoothcert::gpu

#endif
