#!/usr/bin/env python3
"""PyTorch's side of the certification benchmark on a GPU: Cohen et al.'s sampling loop.

    certify_torch_gpu.py [--network convnn] [--modes ...] [--batches 65536,...] [--seconds S]

Every mode is tried with every batch size, and the fastest pair is measured for S seconds. A mode is a
path of words joined by "-":
    fp32 | tf32 | fp16 | bf16      precision of the network (noise and image in the same)
    nchw | nhwc                    memory format
    eager | graph | compile        as written; captured in a CUDA graph; torch.compile(max-autotune)
The loop is that of github.com/locuslab/smoothing (repeat the image, add noise, argmax, count), with
everything that can stay on the device left there: noise is drawn into a fixed buffer, votes are
counted on the device, and nothing synchronises inside the loop. Prints one JSON line. The weights are
PyTorch's initial ones: the time does not depend on them.
"""
import argparse
import itertools
import json
import time

import torch

from certify_torch import NETWORKS

PRECISIONS = {"fp32": torch.float32, "tf32": torch.float32, "fp16": torch.float16,
              "bf16": torch.bfloat16}
MODES = [f"{p}-{m}-{r}" for p, m, r in itertools.product(("bf16", "fp16", "tf32"),
                                                         ("nchw", "nhwc"), ("graph", "compile"))]


class Sampler:
    """One way of counting votes: step() adds a batch of noisy samples to self.counts."""

    def __init__(self, network, mode, batch, sigma):
        precision, layout, runner = mode.split("-")
        dtype = PRECISIONS[precision]
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = (
            precision == "tf32")
        torch.backends.cudnn.benchmark = True
        self.format = torch.channels_last if layout == "nhwc" else torch.contiguous_format
        shape, make = NETWORKS[network]
        self.model = make().cuda().eval().to(dtype).to(memory_format=self.format)
        self.image = torch.rand(1, *shape, device="cuda", dtype=dtype)
        self.noise = torch.empty(batch, *shape, device="cuda", dtype=dtype,
                                 memory_format=self.format)
        self.counts = torch.zeros(10, dtype=torch.int64, device="cuda")
        self.sigma = sigma
        self.step = self.batch
        if runner == "compile":
            self.step = torch.compile(self.batch, mode="max-autotune")
        if runner == "graph":
            self.step = self.captured()

    def batch(self):
        noisy = (self.image + self.noise.normal_() * self.sigma).clamp_(0, 1)
        votes = self.model(noisy).argmax(1)
        # bincount without a length synchronises; a one-hot sum does not.
        self.counts += torch.nn.functional.one_hot(votes, 10).sum(0)

    def captured(self):
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self.batch()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self.batch()
        return graph.replay


def rate(sampler, batch, seconds):
    """Samples a second over at least `seconds`, after a warm-up."""
    with torch.inference_mode():
        for _ in range(3):
            sampler.step()
        torch.cuda.synchronize()
        steps, start = 0, time.perf_counter()
        while time.perf_counter() - start < seconds:
            for _ in range(10):
                sampler.step()
            steps += 10
            torch.cuda.synchronize()
        return steps * batch / (time.perf_counter() - start)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=sorted(NETWORKS), default="convnn")
    parser.add_argument("--modes", default=",".join(MODES))
    parser.add_argument("--batches", default="16384,65536,262144")
    parser.add_argument("--sigma", type=float, default=1.0)
    parser.add_argument("--seconds", type=float, default=5.0)
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("certify_torch_gpu: PyTorch finds no GPU")
    tried = {}
    for mode in arguments.modes.split(","):
        for batch in map(int, arguments.batches.split(",")):
            try:
                with torch.inference_mode():
                    sampler = Sampler(arguments.network, mode, batch, arguments.sigma)
                tried[mode, batch] = rate(sampler, batch, 0.5)
            except RuntimeError as error:  # out of memory, or a mode this PyTorch cannot compile
                tried[mode, batch] = 0.0
                print(f"# {mode} {batch}: {str(error).splitlines()[0]}", flush=True)
            torch.cuda.empty_cache()
    mode, batch = max(tried, key=tried.get)
    with torch.inference_mode():
        best = rate(Sampler(arguments.network, mode, batch, arguments.sigma), batch,
                    arguments.seconds)
    print(json.dumps({"peer": "pytorch", "version": torch.__version__, "network": arguments.network,
                      "device": torch.cuda.get_device_name(), "mode": mode, "batch": batch,
                      "samples_per_second": best,
                      "tried": {f"{m} {b}": r for (m, b), r in tried.items()}}))


if __name__ == "__main__":
    main()
