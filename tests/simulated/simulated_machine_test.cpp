// The machine itself: what it must not forgive.
#include <cuda_runtime_api.h>

#include <vector>

#include "cuda/layers/cudnn_conv.hpp"
#include "cuda/runtime/context.hpp"
#include "cuda/train/launch_train.hpp"
#include "simulated_support.hpp"

namespace smoothcert {
namespace {

using namespace simulated_test;
using gpu::copy_to_device;
using gpu::copy_to_host;
using gpu::DeviceBuffer;
using gpu::make_stream;
using gpu::OwnedStream;
using simulated::complaints;
using simulated::Machine;
using simulated::Order;
using testing::Contains;
using testing::HasSubstr;

class SimulatedMachine : public SimulatedTest {};

TEST_F(SimulatedMachine, WorkIsDoneAtLastAndNotBefore) {
  const OwnedStream stream = make_stream();
  const std::vector<float> in{1, 2, 3};
  std::vector<float> out(3, 9.0f);
  const DeviceBuffer<float> array(3);
  copy_to_device(array.data(), in.data(), 3, stream.get());
  copy_to_host(out.data(), array.data(), 3, stream.get());
  EXPECT_EQ(out[0], 9.0f) << "nobody has waited yet";
  cudaStreamSynchronize(stream.get());
  EXPECT_EQ(out, in);
}

TEST_F(SimulatedMachine, AStreamDoesNotWaitForAnother) {
  const OwnedStream first = make_stream(), second = make_stream();
  const std::vector<float> in{1, 2, 3};
  std::vector<float> out(3, 9.0f);
  const DeviceBuffer<float> array(3);
  copy_to_device(array.data(), in.data(), 3, first.get());
  copy_to_host(out.data(), array.data(), 3, second.get());
  cudaStreamSynchronize(second.get());
  EXPECT_NE(out[0], 1.0f) << "fresh memory is NaN";
}

TEST_F(SimulatedMachine, ASourceThatChangesTooEarlyIsSeen) {
  const OwnedStream stream = make_stream();
  std::vector<float> in{1, 2, 3}, out(3);
  const DeviceBuffer<float> array(3);
  copy_to_device(array.data(), in.data(), 3, stream.get());
  in[0] = 7;
  copy_to_host(out.data(), array.data(), 3, stream.get());
  cudaStreamSynchronize(stream.get());
  EXPECT_EQ(out[0], 7.0f);
}

TEST_F(SimulatedMachine, ComplainsOfCopiesBeyondAnArray) {
  const OwnedStream stream = make_stream();
  std::vector<float> values(8);
  const DeviceBuffer<float> array(3);
  copy_to_device(array.data(), values.data(), 4, stream.get());
  cudaStreamSynchronize(stream.get());
  EXPECT_THAT(complaints(), Contains(HasSubstr("16 bytes not within a device array")));
}

TEST_F(SimulatedMachine, TheHostCannotTouchDeviceMemory) {
  const DeviceBuffer<float> array(3);
  EXPECT_DEATH(array.data()[0] = 1, "touched device memory");
}

TEST_F(SimulatedMachine, AKernelBeyondItsArrayDies) {
  const OwnedStream stream = make_stream();
  const DeviceBuffer<float> array(64), result(64);
  const auto run = [&] {
    gpu::relu(stream.get(), array.data(), 64 + 512, result.data());
    cudaStreamSynchronize(stream.get());
  };
  EXPECT_DEATH(run(), "beyond a device array");
}

TEST_F(SimulatedMachine, AKernelOfAnotherGpuOrOnItsMemoryFails) {
  Machine machine;
  machine.gpus.resize(2);
  simulated::set_machine(machine);
  const OwnedStream here = make_stream();
  const DeviceBuffer<float> array(64);
  {
    const gpu::DeviceScope scope(1);
    EXPECT_THROW(gpu::relu(here.get(), array.data(), 64, array.data()), Error);
    EXPECT_THAT(complaints(), Contains(HasSubstr("not the current GPU's")));
    const OwnedStream there = make_stream();
    const auto run = [&] {
      gpu::relu(there.get(), array.data(), 64, array.data());
      cudaStreamSynchronize(there.get());
    };
    EXPECT_DEATH(run(), "another GPU, touched device memory");
    SMOOTHCERT_CUDA(cudaMemsetAsync(array.data(), 0, 4, there.get()));
    cudaStreamSynchronize(there.get());
    EXPECT_THAT(complaints(), Contains(HasSubstr("the memory of another GPU")));
  }
}

TEST_F(SimulatedMachine, NamesWhatWasLeftAlive) {
  void* array = nullptr;
  cudaStream_t stream = nullptr;
  SMOOTHCERT_CUDA(cudaMalloc(&array, 100));
  SMOOTHCERT_CUDA(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  simulated::set_machine({});
  EXPECT_THAT(complaints(),
              testing::UnorderedElementsAre("1 of stream left alive",
                                            "a device array of 100 bytes left allocated"));
}

TEST_F(SimulatedMachine, MemoryRunsOutAndComesBack) {
  Machine machine;
  machine.gpus[0].memory = 1 << 20;
  simulated::set_machine(machine);
  {
    const DeviceBuffer<char> most(1000000);
    EXPECT_THROW(DeviceBuffer<char>(100000), gpu::OutOfDeviceMemory);
  }
  const DeviceBuffer<char> again(1000000);
}

TEST_F(SimulatedMachine, ACaptureForbidsAllocationsAndWaits) {
  const OwnedStream stream = make_stream();
  const DeviceBuffer<float> array(4);
  SMOOTHCERT_CUDA(cudaStreamBeginCapture(stream.get(), cudaStreamCaptureModeThreadLocal));
  SMOOTHCERT_CUDA(cudaMemsetAsync(array.data(), 0, 16, stream.get()));
  void* more = nullptr;
  EXPECT_EQ(cudaMalloc(&more, 16), cudaErrorStreamCaptureUnsupported);
  EXPECT_EQ(cudaStreamSynchronize(stream.get()), cudaErrorStreamCaptureUnsupported);
  cudaGraph_t graph = nullptr;
  EXPECT_EQ(cudaStreamEndCapture(stream.get(), &graph), cudaErrorStreamCaptureInvalidated);
  EXPECT_EQ(graph, nullptr);
  EXPECT_THAT(complaints(), Contains("cudaMalloc during a capture"));
}

TEST_F(SimulatedMachine, AGraphRunsWhatWasCapturedEachTimeItIsLaunched) {
  const OwnedStream stream = make_stream();
  const std::vector<float> in{1, 2, 3, 4};
  const DeviceBuffer<float> array = gpu::upload(in, stream.get());
  SMOOTHCERT_CUDA(cudaStreamBeginCapture(stream.get(), cudaStreamCaptureModeThreadLocal));
  gpu::add(stream.get(), array.data(), array.data(), 4, array.data());
  cudaGraph_t graph = nullptr;
  SMOOTHCERT_CUDA(cudaStreamEndCapture(stream.get(), &graph));
  cudaGraphExec_t executable = nullptr;
  SMOOTHCERT_CUDA(cudaGraphInstantiate(&executable, graph, 0));
  for (int i = 0; i < 3; ++i) SMOOTHCERT_CUDA(cudaGraphLaunch(executable, stream.get()));
  std::vector<float> out(4);
  copy_to_host(out.data(), array.data(), 4, stream.get());
  cudaStreamSynchronize(stream.get());
  EXPECT_EQ(out, (std::vector<float>{8, 16, 24, 32}));
  cudaGraphDestroy(graph);
  cudaGraphExecDestroy(executable);
}

// An algorithm is chosen, tried and so loaded before a capture, or the capture is lost.
TEST_F(SimulatedMachine, CudnnChoosesNothingDuringACapture) {
  const OwnedStream stream = make_stream();
  const gpu::ConvShape shape{1, 1, 4, 4, 1, 2, 2, 3, 1, 0};
  const DeviceBuffer<float> in(16), weights(9), out(4);
  gpu::CudnnConv conv(gpu::MathPrecision::fp32);
  SMOOTHCERT_CUDA(cudaStreamBeginCapture(stream.get(), cudaStreamCaptureModeThreadLocal));
  EXPECT_THROW(conv.forward(stream.get(), shape, in.data(), weights.data(), out.data()), Error);
  cudaGraph_t graph = nullptr;
  EXPECT_NE(cudaStreamEndCapture(stream.get(), &graph), cudaSuccess);
  EXPECT_THAT(complaints(), Contains(HasSubstr("during a capture")));
}

TEST_F(SimulatedMachine, ALostGpuStaysLost) {
  Machine machine;
  machine.lost_at = 3;
  simulated::set_machine(machine);
  void* array = nullptr;
  EXPECT_EQ(cudaMalloc(&array, 8), cudaSuccess);
  EXPECT_EQ(cudaFree(array), cudaSuccess);
  EXPECT_EQ(cudaMalloc(&array, 8), cudaErrorIllegalAddress);
  EXPECT_EQ(cudaGetLastError(), cudaErrorIllegalAddress);
  EXPECT_EQ(cudaMalloc(&array, 8), cudaErrorIllegalAddress);
}

}  // namespace
}  // namespace smoothcert
