// A GPU as the trainer sees it.
#include "cuda/train/cuda_queue.hpp"

#include <map>
#include <set>

#include "cuda/layers/library_engine.hpp"
#include "cuda/runtime/context.hpp"

namespace smoothcert::gpu {
namespace {

class CudaQueue final : public DeviceQueue {
 public:
  CudaQueue()
      : stream_(make_stream()),
        copies_(make_stream()),
        engine_(make_library_engine(MathPrecision::fp32)) {}
  ~CudaQueue() override { cudaStreamSynchronize(stream_.get()); }

  Stream stream() const override { return stream_.get(); }
  LayerEngine& engine() override { return *engine_; }

  void* allocate(std::size_t bytes) override {
    void* memory = nullptr;
    SMOOTHCERT_CUDA(cudaMalloc(&memory, bytes));
    return memory;
  }
  void release(void* memory) noexcept override {
    cudaStreamSynchronize(stream_.get());
    cudaFree(memory);
  }
  void upload(void* device, const void* host, std::size_t bytes) override {
    if (bytes == 0) return;
    SMOOTHCERT_CUDA(cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, stream_.get()));
    SMOOTHCERT_CUDA(cudaStreamSynchronize(stream_.get()));
  }
  void download(void* host, const void* device, std::size_t bytes) override {
    copy_back(host, device, bytes, stream_.get());
  }
  void download_beside(void* host, const void* device, std::size_t bytes) override {
    copy_back(host, device, bytes, copies_.get());
  }
  void zero(void* device, std::size_t bytes) override {
    SMOOTHCERT_CUDA(cudaMemsetAsync(device, 0, bytes, stream_.get()));
  }

  void replay(const std::string& key, const std::function<void()>& issue) override {
    Captured& work = captured_[key];
    if (work.graph) {
      SMOOTHCERT_CUDA(cudaGraphLaunch(work.graph.get(), stream_.get()));
    } else if (!work.warm) {
      // The first time directly: libraries load their kernels, which a capture may not do.
      issue();
      work.warm = true;
    } else {
      work.graph = capture(issue);
      SMOOTHCERT_CUDA(cudaGraphLaunch(work.graph.get(), stream_.get()));
    }
  }
  void forget_captures() override {
    cudaStreamSynchronize(stream_.get());
    captured_.clear();
    marks_.clear();
  }

  std::uint64_t mark() override {
    OwnedEvent event = make_event();
    SMOOTHCERT_CUDA(cudaEventRecord(event.get(), stream_.get()));
    marks_.emplace(++last_mark_, std::move(event));
    return last_mark_;
  }
  void wait(std::uint64_t mark) override {
    const auto found = marks_.find(mark);
    if (found == marks_.end()) return;  // an earlier wait came past it
    SMOOTHCERT_CUDA(cudaEventSynchronize(found->second.get()));
    marks_.erase(marks_.begin(), std::next(found));
  }

 private:
  struct Captured {
    bool warm = false;
    OwnedGraph graph;
  };

  static void copy_back(void* host, const void* device, std::size_t bytes, cudaStream_t stream) {
    if (bytes == 0) return;
    SMOOTHCERT_CUDA(cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, stream));
    SMOOTHCERT_CUDA(cudaStreamSynchronize(stream));
  }

  OwnedGraph capture(const std::function<void()>& issue) {
    cudaGraph_t graph = nullptr;
    SMOOTHCERT_CUDA(cudaStreamBeginCapture(stream_.get(), cudaStreamCaptureModeThreadLocal));
    try {
      issue();
    } catch (...) {
      cudaStreamEndCapture(stream_.get(), &graph);
      if (graph) cudaGraphDestroy(graph);
      cudaGetLastError();
      throw;
    }
    SMOOTHCERT_CUDA(cudaStreamEndCapture(stream_.get(), &graph));
    cudaGraphExec_t executable = nullptr;
    const cudaError_t status = cudaGraphInstantiate(&executable, graph, 0);
    cudaGraphDestroy(graph);
    SMOOTHCERT_CUDA(status);
    return OwnedGraph(executable);
  }

  OwnedStream stream_, copies_;
  std::unique_ptr<LayerEngine> engine_;
  std::map<std::string, Captured> captured_;
  std::map<std::uint64_t, OwnedEvent> marks_;
  std::uint64_t last_mark_ = 0;
};

}  // namespace

std::unique_ptr<DeviceQueue> make_cuda_queue() { return std::make_unique<CudaQueue>(); }

}  // namespace smoothcert::gpu
