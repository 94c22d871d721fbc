#!/usr/bin/env python3
"""PyTorch's side of the certification benchmark on a GPU: Cohen et al.'s sampling loop.

    certify_torch_gpu.py [--network convnn] [--modes ...] [--batches 65536,...] [--seconds S]
                         [--limit S] [--device cuda]

Every mode is tried with every batch size, and the fastest pair is measured for S seconds. A mode is a
path of words joined by "-":
    fp32 | tf32 | fp16 | bf16      precision of the network (noise and image in the same)
    nchw | nhwc                    memory format
    eager | graph | compile        as written; captured in a CUDA graph; torch.compile(max-autotune)
Not tried: TensorRT and other engines beside PyTorch. --limit: no new pair is tried after S seconds.
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
MODES = [f"{p}-{m}-{r}" for r, p, m in itertools.product(("graph", "compile", "eager"),
                                                         ("fp16", "bf16", "tf32"), ("nhwc", "nchw"))]


class Sampler:
    """One way of counting votes: step() adds a batch of noisy samples to self.counts."""

    def __init__(self, network, mode, batch, sigma, device):
        precision, layout, runner = mode.split("-")
        dtype = PRECISIONS[precision]
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = (
            precision == "tf32")
        torch.backends.cudnn.benchmark = True
        self.format = torch.channels_last if layout == "nhwc" else torch.contiguous_format
        shape, make = NETWORKS[network]
        self.model = make().to(device).eval().to(dtype).to(memory_format=self.format)
        self.image = torch.rand(1, *shape, device=device, dtype=dtype)
        self.noise = torch.empty(batch, *shape, device=device, dtype=dtype,
                                 memory_format=self.format)
        self.counts = torch.zeros(10, dtype=torch.int64, device=device)
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


def synchronise(device):
    if device == "cuda":
        torch.cuda.synchronize()


def rate(sampler, batch, seconds, device):
    """Samples a second over at least `seconds`, after a warm-up."""
    with torch.inference_mode():
        for _ in range(3):
            sampler.step()
        synchronise(device)
        steps, start = 0, time.perf_counter()
        while time.perf_counter() - start < seconds:
            for _ in range(10):
                sampler.step()
            steps += 10
            synchronise(device)
        return steps * batch / (time.perf_counter() - start)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=sorted(NETWORKS), default="convnn")
    parser.add_argument("--modes", default=",".join(MODES))
    parser.add_argument("--batches", default="16384,65536,262144")
    parser.add_argument("--sigma", type=float, default=1.0)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--limit", type=float, default=float("inf"))
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    arguments = parser.parse_args()
    device = arguments.device
    if device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("certify_torch_gpu: PyTorch finds no GPU")
    tried, start = {}, time.monotonic()
    for mode in arguments.modes.split(","):
        for batch in map(int, arguments.batches.split(",")):
            if tried and time.monotonic() - start > arguments.limit:
                break
            try:
                with torch.inference_mode():
                    sampler = Sampler(arguments.network, mode, batch, arguments.sigma, device)
                tried[mode, batch] = rate(sampler, batch, 0.5, device)
            except RuntimeError as error:  # out of memory, or a mode this PyTorch cannot compile
                tried[mode, batch] = 0.0
                print(f"# {mode} {batch}: {str(error).splitlines()[0]}", flush=True)
            torch.cuda.empty_cache()
    mode, batch = max(tried, key=tried.get)
    with torch.inference_mode():
        best = rate(Sampler(arguments.network, mode, batch, arguments.sigma, device), batch,
                    arguments.seconds, device)
    print(json.dumps({"peer": "pytorch", "version": torch.__version__, "network": arguments.network,
                      "device": torch.cuda.get_device_name() if device == "cuda" else "cpu", "mode": mode, "batch": batch,
                      "samples_per_second": best,
                      "tried": {f"{m} {b}": r for (m, b), r in tried.items()}}))


if __name__ == "__main__":
    main()
