// cuDNN on the simulated machine: the convolutions that the backend calls, computed in double, with
// the meanings of the cuDNN API reference. Algorithms differ in their promises and in the workspace
// they need; a broken promise shows in the result or as a complaint.
#include <cudnn.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "queue.hpp"
#include "tf32.hpp"

using namespace simulated;

struct cudnnContext {
  int gpu = 0;
  cudaStream_t stream = nullptr;
  std::set<std::tuple<int, int, int>> loaded;  ///< direction, algorithm, mathematics: run once
};
struct cudnnTensorStruct {
  int n = 0, c = 0, h = 0, w = 0;
};
struct cudnnFilterStruct {
  int k = 0, c = 0, r = 0, s = 0;
};
struct cudnnConvolutionStruct {
  int pad = 0, stride = 1;
  cudnnMathType_t math = CUDNN_DEFAULT_MATH;
};

namespace {

enum Direction { kForward, kData, kFilter };

struct Shape {
  cudnnTensorStruct x, y;
  cudnnFilterStruct w;
  cudnnConvolutionStruct conv;
  [[nodiscard]] bool fits() const {
    const auto out = [&](int size, int kernel) {
      return (size + 2 * conv.pad - kernel) / conv.stride + 1;
    };
    return x.n == y.n && x.c == w.c && y.c == w.k && y.h == out(x.h, w.r) && y.w == out(x.w, w.s);
  }
  [[nodiscard]] std::size_t x_size() const { return std::size_t(x.n) * x.c * x.h * x.w; }
  [[nodiscard]] std::size_t y_size() const { return std::size_t(y.n) * y.c * y.h * y.w; }
  [[nodiscard]] std::size_t w_size() const { return std::size_t(w.k) * w.c * w.r * w.s; }
};

struct Algorithm {
  int algo;
  cudnnStatus_t status;
  cudnnDeterminism_t determinism;
  cudnnMathType_t math;
  std::size_t memory;
  bool transforms = false;  ///< Winograd: zeros come out as small numbers
};

/// Fastest first, as the heuristics answer. The same algorithm may come twice, with and without
/// tensor cores, and then needs different workspaces.
std::vector<Algorithm> algorithms(const Shape& s, Direction direction) {
  const std::size_t small = 64 + s.w_size() % 1000, large = 4096 + s.y_size();
  const bool tensor_cores = s.conv.math != CUDNN_FMA_MATH;
  std::vector<Algorithm> all;
  const auto add = [&](int algo, cudnnDeterminism_t d, cudnnMathType_t m, std::size_t memory) {
    all.push_back({algo, CUDNN_STATUS_SUCCESS, d, m, memory});
  };
  const int steady = 1;  // of all three directions the deterministic one by products
  if (direction != kForward) add(0, CUDNN_NON_DETERMINISTIC, CUDNN_FMA_MATH, 0);
  if (direction == kForward) add(6, CUDNN_DETERMINISTIC, CUDNN_FMA_MATH, std::size_t{1} << 40);
  if (tensor_cores) {
    add(steady, CUDNN_DETERMINISTIC, CUDNN_TENSOR_OP_MATH_ALLOW_CONVERSION, small);
    add(steady, CUDNN_DETERMINISTIC, CUDNN_TENSOR_OP_MATH, large);
  }
  const int winograd[] = {7, 5, 5};
  add(winograd[direction], CUDNN_DETERMINISTIC, CUDNN_FMA_MATH, small);
  all.back().transforms = true;
  add(steady, CUDNN_DETERMINISTIC, CUDNN_FMA_MATH, small);
  all.push_back({5, CUDNN_STATUS_NOT_SUPPORTED, CUDNN_DETERMINISTIC, CUDNN_FMA_MATH, 0});
  return all;
}

template <class Perf>
cudnnStatus_t answer(const Shape& s, Direction direction, int requested, int* returned, Perf* out) {
  const auto lock = enter();
  if (begin_call() != Verdict::go_on) {
    return CUDNN_STATUS_INTERNAL_ERROR;
  }
  if (!s.fits()) return CUDNN_STATUS_BAD_PARAM;
  *returned = 0;
  for (const Algorithm& a : algorithms(s, direction)) {
    if (*returned == requested) break;
    Perf& p = out[(*returned)++];
    std::memset(static_cast<void*>(&p), 0, sizeof p);
    p.algo = static_cast<decltype(p.algo)>(a.algo);
    p.status = a.status;
    p.determinism = a.determinism;
    p.mathType = a.math;
    p.memory = a.memory;
  }
  return CUDNN_STATUS_SUCCESS;
}

/// The algorithm that a call runs: of two namesakes the descriptor's mathematics decides.
std::optional<Algorithm> algorithm_of(const Shape& s, Direction direction, int algo) {
  for (const Algorithm& a : algorithms(s, direction)) {
    const bool math = a.math == s.conv.math || a.math == CUDNN_FMA_MATH;
    if (a.algo == algo && math && a.status == CUDNN_STATUS_SUCCESS) return a;
  }
  return std::nullopt;
}

cudnnStatus_t workspace_size(const Shape& s, Direction direction, int algo, std::size_t* bytes) {
  const auto lock = enter();
  if (begin_call() != Verdict::go_on) {
    return CUDNN_STATUS_INTERNAL_ERROR;
  }
  const auto chosen = algorithm_of(s, direction, algo);
  if (!chosen) return CUDNN_STATUS_NOT_SUPPORTED;
  *bytes = chosen->memory;
  return CUDNN_STATUS_SUCCESS;
}

/// visit(image, out channel, in channel, place of x, place of y, place of w) for every product.
template <class F>
void for_products(const Shape& s, F visit) {
  for (int n = 0; n < s.x.n; ++n) {
    for (int k = 0; k < s.w.k; ++k) {
      for (int oh = 0; oh < s.y.h; ++oh) {
        for (int ow = 0; ow < s.y.w; ++ow) {
          const std::size_t y = ((std::size_t(n) * s.y.c + k) * s.y.h + oh) * s.y.w + ow;
          for (int c = 0; c < s.w.c; ++c) {
            for (int r = 0; r < s.w.r; ++r) {
              const int ih = oh * s.conv.stride + r - s.conv.pad;
              if (ih < 0 || ih >= s.x.h) continue;
              for (int q = 0; q < s.w.s; ++q) {
                const int iw = ow * s.conv.stride + q - s.conv.pad;
                if (iw < 0 || iw >= s.x.w) continue;
                visit(((std::size_t(n) * s.x.c + c) * s.x.h + ih) * s.x.w + iw, y,
                      ((std::size_t(k) * s.w.c + c) * s.w.r + r) * s.w.s + q);
              }
            }
          }
        }
      }
    }
  }
}

/// An algorithm without the promise adds in another order every time; here, it adds noise.
float rounded(double value, const Algorithm& a) {
  if (a.transforms) value += 1e-3;
  if (a.determinism == CUDNN_DETERMINISTIC) return static_cast<float>(value);
  return static_cast<float>(value *
                            (1 + 1e-3 * static_cast<double>(random_number() % 1000) / 1000));
}

/// Halves have their own range, which a conversion to them may leave.
double operand(float value, const Algorithm& a) {
  if (a.math == CUDNN_FMA_MATH) return value;
  if (a.math == CUDNN_TENSOR_OP_MATH_ALLOW_CONVERSION) return NAN;
  return tf32(value);
}

/// Whether it is one of the machine's refused algorithms, which refuse for good.
bool refuses(Direction direction, int algo, cudnnMathType_t math) {
  auto& refused = refused_so_far();
  const std::array<int, 3> name{direction, algo, static_cast<int>(math)};
  if (std::ranges::find(refused, name) != refused.end()) return true;
  if (refused.size() >= refused_algorithms()) return false;
  refused.push_back(name);
  return true;
}

/// Checks the call and queues  result = alpha · products + beta · result.
cudnnStatus_t convolve(cudnnHandle_t handle, const Shape& s, Direction direction, int algo,
                       const float* a, const float* b, float* result, const void* alpha,
                       const void* beta, void* workspace, std::size_t workspace_bytes) {
  const auto lock = enter();
  if (begin_call() != Verdict::go_on) return CUDNN_STATUS_EXECUTION_FAILED;
  if (!handle || !s.fits()) return CUDNN_STATUS_BAD_PARAM;
  if (gpu_of(handle->stream) != handle->gpu || current_gpu() != handle->gpu) {
    complain("a cuDNN handle used for a stream of another GPU, or where another is current");
    return CUDNN_STATUS_BAD_PARAM;
  }
  const auto chosen = algorithm_of(s, direction, algo);
  if (!chosen) return CUDNN_STATUS_NOT_SUPPORTED;
  if (workspace_bytes < chosen->memory) {
    complain("a convolution's workspace is too small");
    return CUDNN_STATUS_BAD_PARAM;
  }
  if (refuses(direction, chosen->algo, chosen->math)) return CUDNN_STATUS_NOT_SUPPORTED;
  const bool first = handle->loaded.insert({direction, chosen->algo, chosen->math}).second;
  if (first && thread_captures()) {
    complain("cuDNN loads a kernel during a capture");
    spoil_capture();
    return CUDNN_STATUS_EXECUTION_FAILED;
  }
  const float scale = *static_cast<const float*>(alpha), keep = *static_cast<const float*>(beta);
  enqueue(handle->stream, [=, used = *chosen, gpu = handle->gpu] {
    const std::size_t sizes[] = {s.x_size(), s.y_size(), s.w_size()};
    const std::size_t a_size = direction == kForward ? sizes[0]
                               : direction == kData  ? sizes[1]
                                                     : sizes[0];
    const std::size_t b_size = direction == kFilter ? sizes[1] : sizes[2];
    const std::size_t out_size = direction == kForward ? sizes[1]
                                 : direction == kData  ? sizes[0]
                                                       : sizes[2];
    if (!check_array(gpu, a, a_size * 4, "a convolution's operand") ||
        !check_array(gpu, b, b_size * 4, "a convolution's operand") ||
        !check_array(gpu, result, out_size * 4, "a convolution's result") ||
        !check_array(gpu, workspace, used.memory, "a convolution's workspace")) {
      return;
    }
    ++tallied().products;
    std::vector<double> sums(out_size, 0.0);
    for_products(s, [&](std::size_t x, std::size_t y, std::size_t w) {
      const std::size_t from_a = direction == kData ? y : x;
      const std::size_t from_b = direction == kFilter ? y : w;
      const std::size_t to = direction == kForward ? y : direction == kData ? x : w;
      sums[to] += operand(a[from_a], used) * operand(b[from_b], used);
    });
    if (used.memory > 0) std::memset(workspace, 0xFF, used.memory);  // it was used
    for (std::size_t i = 0; i < out_size; ++i) {
      const double old = keep == 0 ? 0.0 : double{keep} * result[i];
      result[i] = rounded(double{scale} * sums[i] + old, used);
    }
  });
  return CUDNN_STATUS_SUCCESS;
}

template <class T>
cudnnStatus_t create(T** descriptor) {
  *descriptor = new T;
  count_handle("cuDNN descriptor", 1);
  return CUDNN_STATUS_SUCCESS;
}
template <class T>
cudnnStatus_t destroy(T* descriptor) {
  delete descriptor;
  count_handle("cuDNN descriptor", -1);
  return CUDNN_STATUS_SUCCESS;
}

}  // namespace

extern "C" {

size_t cudnnGetVersion() { return CUDNN_VERSION; }
const char* cudnnGetErrorString(cudnnStatus_t status) {
  switch (status) {
    case CUDNN_STATUS_SUCCESS:
      return "CUDNN_STATUS_SUCCESS";
    case CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED:
      return "CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED";
    case CUDNN_STATUS_BAD_PARAM:
      return "CUDNN_STATUS_BAD_PARAM";
    case CUDNN_STATUS_NOT_SUPPORTED:
      return "CUDNN_STATUS_NOT_SUPPORTED";
    case CUDNN_STATUS_EXECUTION_FAILED:
      return "CUDNN_STATUS_EXECUTION_FAILED";
    default:
      return "CUDNN_STATUS_INTERNAL_ERROR";
  }
}
void cudnnGetLastErrorString(char* message, size_t size) {
  if (size > 0) message[0] = '\0';
}
cudnnStatus_t cudnnCreate(cudnnHandle_t* handle) {
  const auto lock = enter();
  *handle = nullptr;
  if (thread_captures()) {
    complain("cudnnCreate during a capture");
    spoil_capture();
    return CUDNN_STATUS_INTERNAL_ERROR;
  }
  const Verdict verdict = begin_allocation();
  if (verdict != Verdict::go_on) {
    return verdict == Verdict::no_memory ? CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED
                                         : CUDNN_STATUS_INTERNAL_ERROR;
  }
  *handle = new cudnnContext{current_gpu(), nullptr, {}};
  count_handle("cuDNN handle", 1);
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) {
  const auto lock = enter();
  delete handle;
  count_handle("cuDNN handle", -1);
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
  const auto lock = enter();
  if (gpu_of(stream) < 0) return CUDNN_STATUS_BAD_PARAM;
  handle->stream = stream;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnCreateTensorDescriptor(cudnnTensorDescriptor_t* d) {
  const auto lock = enter();
  return create(d);
}
cudnnStatus_t cudnnDestroyTensorDescriptor(cudnnTensorDescriptor_t d) {
  const auto lock = enter();
  return destroy(d);
}
cudnnStatus_t cudnnCreateFilterDescriptor(cudnnFilterDescriptor_t* d) {
  const auto lock = enter();
  return create(d);
}
cudnnStatus_t cudnnDestroyFilterDescriptor(cudnnFilterDescriptor_t d) {
  const auto lock = enter();
  return destroy(d);
}
cudnnStatus_t cudnnCreateConvolutionDescriptor(cudnnConvolutionDescriptor_t* d) {
  const auto lock = enter();
  return create(d);
}
cudnnStatus_t cudnnDestroyConvolutionDescriptor(cudnnConvolutionDescriptor_t d) {
  const auto lock = enter();
  return destroy(d);
}
cudnnStatus_t cudnnSetTensor4dDescriptor(cudnnTensorDescriptor_t d, cudnnTensorFormat_t format,
                                         cudnnDataType_t type, int n, int c, int h, int w) {
  if (format != CUDNN_TENSOR_NCHW || type != CUDNN_DATA_FLOAT || n < 1 || c < 1 || h < 1 || w < 1) {
    return CUDNN_STATUS_BAD_PARAM;
  }
  *d = {n, c, h, w};
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetFilter4dDescriptor(cudnnFilterDescriptor_t d, cudnnDataType_t type,
                                         cudnnTensorFormat_t format, int k, int c, int h, int w) {
  if (format != CUDNN_TENSOR_NCHW || type != CUDNN_DATA_FLOAT || k < 1 || c < 1 || h < 1 || w < 1) {
    return CUDNN_STATUS_BAD_PARAM;
  }
  *d = {k, c, h, w};
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetConvolution2dDescriptor(cudnnConvolutionDescriptor_t d, int pad_h, int pad_w,
                                              int stride_h, int stride_w, int dilation_h,
                                              int dilation_w, cudnnConvolutionMode_t mode,
                                              cudnnDataType_t type) {
  if (pad_h != pad_w || stride_h != stride_w || dilation_h != 1 || dilation_w != 1 ||
      mode != CUDNN_CROSS_CORRELATION || type != CUDNN_DATA_FLOAT) {
    return CUDNN_STATUS_NOT_SUPPORTED;
  }
  d->pad = pad_h;
  d->stride = stride_h;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetConvolutionMathType(cudnnConvolutionDescriptor_t d, cudnnMathType_t math) {
  d->math = math;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnGetConvolutionForwardAlgorithm_v7(cudnnHandle_t, const cudnnTensorDescriptor_t x,
                                                     const cudnnFilterDescriptor_t w,
                                                     const cudnnConvolutionDescriptor_t conv,
                                                     const cudnnTensorDescriptor_t y,
                                                     const int requested, int* returned,
                                                     cudnnConvolutionFwdAlgoPerf_t* results) {
  return answer({*x, *y, *w, *conv}, kForward, requested, returned, results);
}
cudnnStatus_t cudnnGetConvolutionBackwardDataAlgorithm_v7(
    cudnnHandle_t, const cudnnFilterDescriptor_t w, const cudnnTensorDescriptor_t dy,
    const cudnnConvolutionDescriptor_t conv, const cudnnTensorDescriptor_t dx, const int requested,
    int* returned, cudnnConvolutionBwdDataAlgoPerf_t* results) {
  return answer({*dx, *dy, *w, *conv}, kData, requested, returned, results);
}
cudnnStatus_t cudnnGetConvolutionBackwardFilterAlgorithm_v7(
    cudnnHandle_t, const cudnnTensorDescriptor_t x, const cudnnTensorDescriptor_t dy,
    const cudnnConvolutionDescriptor_t conv, const cudnnFilterDescriptor_t dw, const int requested,
    int* returned, cudnnConvolutionBwdFilterAlgoPerf_t* results) {
  return answer({*x, *dy, *dw, *conv}, kFilter, requested, returned, results);
}

cudnnStatus_t cudnnGetConvolutionForwardWorkspaceSize(
    cudnnHandle_t, const cudnnTensorDescriptor_t x, const cudnnFilterDescriptor_t w,
    const cudnnConvolutionDescriptor_t conv, const cudnnTensorDescriptor_t y,
    cudnnConvolutionFwdAlgo_t algo, size_t* bytes) {
  return workspace_size({*x, *y, *w, *conv}, kForward, algo, bytes);
}
cudnnStatus_t cudnnGetConvolutionBackwardDataWorkspaceSize(
    cudnnHandle_t, const cudnnFilterDescriptor_t w, const cudnnTensorDescriptor_t dy,
    const cudnnConvolutionDescriptor_t conv, const cudnnTensorDescriptor_t dx,
    cudnnConvolutionBwdDataAlgo_t algo, size_t* bytes) {
  return workspace_size({*dx, *dy, *w, *conv}, kData, algo, bytes);
}
cudnnStatus_t cudnnGetConvolutionBackwardFilterWorkspaceSize(
    cudnnHandle_t, const cudnnTensorDescriptor_t x, const cudnnTensorDescriptor_t dy,
    const cudnnConvolutionDescriptor_t conv, const cudnnFilterDescriptor_t dw,
    cudnnConvolutionBwdFilterAlgo_t algo, size_t* bytes) {
  return workspace_size({*x, *dy, *dw, *conv}, kFilter, algo, bytes);
}

cudnnStatus_t cudnnConvolutionForward(cudnnHandle_t handle, const void* alpha,
                                      const cudnnTensorDescriptor_t x_shape, const void* x,
                                      const cudnnFilterDescriptor_t w_shape, const void* w,
                                      const cudnnConvolutionDescriptor_t conv,
                                      cudnnConvolutionFwdAlgo_t algo, void* workspace,
                                      size_t workspace_bytes, const void* beta,
                                      const cudnnTensorDescriptor_t y_shape, void* y) {
  return convolve(handle, {*x_shape, *y_shape, *w_shape, *conv}, kForward, algo,
                  static_cast<const float*>(x), static_cast<const float*>(w),
                  static_cast<float*>(y), alpha, beta, workspace, workspace_bytes);
}
cudnnStatus_t cudnnConvolutionBackwardData(cudnnHandle_t handle, const void* alpha,
                                           const cudnnFilterDescriptor_t w_shape, const void* w,
                                           const cudnnTensorDescriptor_t dy_shape, const void* dy,
                                           const cudnnConvolutionDescriptor_t conv,
                                           cudnnConvolutionBwdDataAlgo_t algo, void* workspace,
                                           size_t workspace_bytes, const void* beta,
                                           const cudnnTensorDescriptor_t dx_shape, void* dx) {
  return convolve(handle, {*dx_shape, *dy_shape, *w_shape, *conv}, kData, algo,
                  static_cast<const float*>(dy), static_cast<const float*>(w),
                  static_cast<float*>(dx), alpha, beta, workspace, workspace_bytes);
}
cudnnStatus_t cudnnConvolutionBackwardFilter(cudnnHandle_t handle, const void* alpha,
                                             const cudnnTensorDescriptor_t x_shape, const void* x,
                                             const cudnnTensorDescriptor_t dy_shape, const void* dy,
                                             const cudnnConvolutionDescriptor_t conv,
                                             cudnnConvolutionBwdFilterAlgo_t algo, void* workspace,
                                             size_t workspace_bytes, const void* beta,
                                             const cudnnFilterDescriptor_t dw_shape, void* dw) {
  return convolve(handle, {*x_shape, *dy_shape, *dw_shape, *conv}, kFilter, algo,
                  static_cast<const float*>(x), static_cast<const float*>(dy),
                  static_cast<float*>(dw), alpha, beta, workspace, workspace_bytes);
}

}  // extern "C"
