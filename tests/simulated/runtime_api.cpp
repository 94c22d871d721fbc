// CUDA's runtime on the simulated machine: the functions that the backend, its tests and its
// benchmarks call, with the meanings of the CUDA Runtime API reference.
#include <cuda_runtime_api.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <map>

#include "queue.hpp"

using namespace simulated;

struct CUevent_st {
  cudaStream_t stream = nullptr;
  std::uint64_t after = 0;  ///< of the stream's work
  bool recorded = false;
};
struct CUgraph_st {
  std::shared_ptr<const Work> work;
};
struct CUgraphExec_st {
  std::shared_ptr<const Work> work;
  int gpu = 0;
};

namespace {

thread_local int current = 0;
thread_local cudaError_t last_error = cudaSuccess;

cudaError_t fail(cudaError_t error) { return last_error = error; }

cudaError_t error_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::no_memory:
      return fail(cudaErrorMemoryAllocation);
    case Verdict::lost:
      return fail(cudaErrorIllegalAddress);
    case Verdict::go_on:
      break;
  }
  return cudaSuccess;
}

/// What a call returns at once, if anything.
cudaError_t begin() { return error_of(begin_call()); }

/// Whether the call is one that a capture forbids, and is made in one.
bool forbidden(const char* call) {
  if (!thread_captures()) return false;
  spoil_capture();
  complain(std::string(call) + " during a capture");
  return true;
}

cudaError_t begin_allocating(const char* call) {
  if (forbidden(call)) return fail(cudaErrorStreamCaptureUnsupported);
  return error_of(begin_allocation());
}

/// A call that blocks the host.
cudaError_t begin_waiting(const char* call) {
  if (forbidden(call)) return fail(cudaErrorStreamCaptureUnsupported);
  ++tallied().waits;
  return begin();
}

cudaError_t bad_argument(const std::string& text) {
  complain(text);
  return fail(cudaErrorInvalidValue);
}

bool usable(cudaStream_t stream, const char* call) {
  if (gpu_of(stream) >= 0) return true;
  complain(std::string(call) + ": no stream of this machine");
  return false;
}

std::function<void()> copy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                           int gpu) {
  return [=] {
    if (kind == cudaMemcpyHostToDevice) {
      if (!check_array(gpu, to, bytes, "copy to the device")) return;
    } else if (kind == cudaMemcpyDeviceToHost) {
      if (!check_array(gpu, from, bytes, "copy from the device")) return;
    } else if (!check_array(gpu, to, bytes, "copy") || !check_array(gpu, from, bytes, "copy")) {
      return;
    }
    std::memcpy(to, from, bytes);
  };
}

std::function<void()> fill(void* at, int value, std::size_t bytes, int gpu) {
  return [=] {
    if (check_array(gpu, at, bytes, "memset")) std::memset(at, value, bytes);
  };
}

/// The current GPU's default stream: no non-blocking stream waits for it, nor it for them.
cudaStream_t default_stream() {
  static std::map<int, cudaStream_t> streams;
  cudaStream_t& stream = streams[current];
  if (!stream) {
    stream = make_stream(current);
    count_handle("stream", -1);  // lives as long as the program
  }
  return stream;
}

}  // namespace

namespace simulated {
int current_gpu() { return current; }
void make_first_current() { current = 0; }
}  // namespace simulated

extern "C" {

// --- devices and errors -----------------------------------------------------------------------

cudaError_t cudaGetDeviceCount(int* count) {
  const auto lock = enter();
  *count = static_cast<int>(machine().gpus.size());
  if (!machine().driver) return fail(cudaErrorInsufficientDriver);
  return *count == 0 ? fail(cudaErrorNoDevice) : cudaSuccess;
}
cudaError_t cudaGetDevice(int* device) {
  *device = current;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
  const auto lock = enter();
  if (device < 0 || device >= static_cast<int>(machine().gpus.size())) {
    return fail(cudaErrorInvalidDevice);
  }
  current = device;
  return begin();
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int device) {
  const auto lock = enter();
  if (device < 0 || device >= static_cast<int>(machine().gpus.size())) {
    return fail(cudaErrorInvalidDevice);
  }
  if (const auto error = begin()) return error;
  const Gpu& gpu = machine().gpus[static_cast<std::size_t>(device)];
  *p = cudaDeviceProp{};
  std::strncpy(p->name, gpu.name.c_str(), sizeof p->name - 1);
  p->major = gpu.major;
  p->minor = gpu.minor;
  p->totalGlobalMem = gpu.memory;
  p->multiProcessorCount = gpu.multiprocessors;
  p->sharedMemPerBlock = 48 << 10;
  p->sharedMemPerBlockOptin = gpu.shared_per_block;
  p->warpSize = 32;
  p->maxThreadsPerBlock = 1024;
  return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* version) {
  *version = machine().driver ? CUDART_VERSION : 0;
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t cudaGetLastError() {
  const auto lock = enter();
  const cudaError_t error = last_error;
  last_error = lost() ? cudaErrorIllegalAddress : cudaSuccess;  // a lost device stays lost
  return error;
}
cudaError_t cudaPeekAtLastError() { return last_error; }
const char* cudaGetErrorName(cudaError_t error) {
  static const std::map<int, const char*> names{
      {cudaSuccess, "cudaSuccess"},
      {cudaErrorInvalidValue, "cudaErrorInvalidValue"},
      {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation"},
      {cudaErrorInvalidConfiguration, "cudaErrorInvalidConfiguration"},
      {cudaErrorInvalidDevice, "cudaErrorInvalidDevice"},
      {cudaErrorInvalidResourceHandle, "cudaErrorInvalidResourceHandle"},
      {cudaErrorNoDevice, "cudaErrorNoDevice"},
      {cudaErrorInsufficientDriver, "cudaErrorInsufficientDriver"},
      {cudaErrorIllegalAddress, "cudaErrorIllegalAddress"},
      {cudaErrorLaunchFailure, "cudaErrorLaunchFailure"},
      {cudaErrorStreamCaptureUnsupported, "cudaErrorStreamCaptureUnsupported"},
      {cudaErrorStreamCaptureInvalidated, "cudaErrorStreamCaptureInvalidated"}};
  const auto found = names.find(error);
  return found == names.end() ? "cudaErrorUnknown" : found->second;
}
const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "no error";
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorIllegalAddress:
      return "an illegal memory access was encountered";
    case cudaErrorNoDevice:
      return "no CUDA-capable device is detected";
    default:
      return cudaGetErrorName(error);
  }
}

// --- memory -----------------------------------------------------------------------------------

cudaError_t cudaMalloc(void** at, std::size_t bytes) {
  const auto lock = enter();
  *at = nullptr;
  if (const auto error = begin_allocating("cudaMalloc")) return error;
  if (bytes == 0) return cudaSuccess;
  *at = allocate_on(current, bytes);
  ++tallied().arrays_of[static_cast<std::size_t>(current)];
  return *at ? cudaSuccess : fail(cudaErrorMemoryAllocation);
}
cudaError_t cudaFree(void* at) {
  const auto lock = enter();
  if (!at) return cudaSuccess;
  const cudaError_t error = begin_waiting("cudaFree");
  for (int g = 0; g < static_cast<int>(machine().gpus.size()); ++g) run_gpu(g);  // it waits
  if (!release(at)) return bad_argument("cudaFree: no device array begins there");
  return error;
}
cudaError_t cudaMallocHost(void** at, std::size_t bytes) {
  const auto lock = enter();
  *at = nullptr;
  if (const auto error = begin_allocating("cudaMallocHost")) return error;
  *at = allocate_pinned(bytes);
  return cudaSuccess;
}
cudaError_t cudaFreeHost(void* at) {
  const auto lock = enter();
  if (!at) return cudaSuccess;
  const cudaError_t error = begin_waiting("cudaFreeHost");
  for (int g = 0; g < static_cast<int>(machine().gpus.size()); ++g) run_gpu(g);
  if (!release_pinned(at)) return bad_argument("cudaFreeHost: no pinned memory begins there");
  return error;
}
cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  const auto lock = enter();
  if (const auto error = begin()) return error;
  *free = free_on(current);
  *total = machine().gpus[static_cast<std::size_t>(current)].memory;
  return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  const auto lock = enter();
  if (const auto error = begin()) return error;
  if (!usable(stream, "cudaMemcpyAsync")) return fail(cudaErrorInvalidResourceHandle);
  if (kind == cudaMemcpyDefault || kind == cudaMemcpyHostToHost) {
    return bad_argument("cudaMemcpyAsync: a direction not simulated");
  }
  enqueue(stream, copy(to, from, bytes, kind, gpu_of(stream)));
  return cudaSuccess;
}
cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  const auto lock = enter();
  if (const auto error = begin_waiting("cudaMemcpy")) return error;
  cudaStream_t stream = default_stream();
  enqueue(stream, copy(to, from, bytes, kind, current));
  run_until(stream, queued(stream));
  return lost() ? fail(cudaErrorLaunchFailure) : cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* at, int value, std::size_t bytes, cudaStream_t stream) {
  const auto lock = enter();
  if (const auto error = begin()) return error;
  if (!usable(stream, "cudaMemsetAsync")) return fail(cudaErrorInvalidResourceHandle);
  enqueue(stream, fill(at, value, bytes, gpu_of(stream)));
  return cudaSuccess;
}
cudaError_t cudaMemset(void* at, int value, std::size_t bytes) {
  const auto lock = enter();
  if (const auto error = begin()) return error;
  // Of device memory it returns before it is done.
  enqueue(default_stream(), fill(at, value, bytes, current));
  return cudaSuccess;
}

// --- streams, events, graphs ------------------------------------------------------------------

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  const auto lock = enter();
  if (const auto error = begin()) return error;
  if (flags != cudaStreamNonBlocking) return bad_argument("only non-blocking streams");
  *stream = make_stream(current);
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const auto lock = enter();
  if (!usable(stream, "cudaStreamDestroy")) return fail(cudaErrorInvalidResourceHandle);
  destroy_stream(stream);
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  const auto lock = enter();
  if (!usable(stream, "cudaStreamSynchronize")) return fail(cudaErrorInvalidResourceHandle);
  if (const auto error = begin_waiting("cudaStreamSynchronize")) return error;
  run_until(stream, queued(stream));
  return lost() ? fail(cudaErrorLaunchFailure) : cudaSuccess;
}

cudaError_t cudaDeviceSynchronize() {
  const auto lock = enter();
  if (const auto error = begin_waiting("cudaDeviceSynchronize")) return error;
  run_gpu(current);
  return lost() ? fail(cudaErrorLaunchFailure) : cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  const auto lock = enter();
  if (const auto error = begin()) return error;
  *event = new CUevent_st;
  count_handle("event", 1);
  return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* event) { return cudaEventCreateWithFlags(event, 0); }
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  const auto lock = enter();
  delete event;
  count_handle("event", -1);
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  const auto lock = enter();
  if (const auto error = begin()) return error;
  if (!usable(stream, "cudaEventRecord")) return fail(cudaErrorInvalidResourceHandle);
  if (capturing(stream)) return bad_argument("cudaEventRecord in a capture: not simulated");
  *event = {stream, queued(stream), true};
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  const auto lock = enter();
  if (const auto error = begin_waiting("cudaEventSynchronize")) return error;
  if (event->recorded && gpu_of(event->stream) >= 0) run_until(event->stream, event->after);
  return lost() ? fail(cudaErrorLaunchFailure) : cudaSuccess;
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t, cudaEvent_t) {
  *milliseconds = 1.0f;  // time is not modelled
  return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  const auto lock = enter();
  if (const auto error = begin()) return error;
  if (!usable(stream, "cudaStreamBeginCapture") || !begin_capture(stream)) {
    return bad_argument("cudaStreamBeginCapture: a capture within a capture");
  }
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  const auto lock = enter();
  *graph = nullptr;
  if (!capturing(stream)) return bad_argument("cudaStreamEndCapture: the stream captures nothing");
  auto work = end_capture(stream);
  if (const auto error = begin()) return error;
  if (!work) return fail(cudaErrorStreamCaptureInvalidated);
  *graph = new CUgraph_st{std::move(work)};
  count_handle("graph", 1);
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph,
                                 unsigned long long) {
  const auto lock = enter();
  if (const auto error = begin_allocating("cudaGraphInstantiate")) return error;
  *executable = new CUgraphExec_st{graph->work, current};
  count_handle("graph", 1);
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  const auto lock = enter();
  delete graph;
  count_handle("graph", -1);
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  const auto lock = enter();
  delete executable;
  count_handle("graph", -1);
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  const auto lock = enter();
  if (const auto error = begin()) return error;
  if (!usable(stream, "cudaGraphLaunch")) return fail(cudaErrorInvalidResourceHandle);
  if (executable->gpu != gpu_of(stream)) return bad_argument("a graph of another GPU");
  ++tallied().graph_launches;
  enqueue(stream, [work = executable->work] {
    for (const auto& piece : *work) piece();
  });
  return cudaSuccess;
}

}  // extern "C"
