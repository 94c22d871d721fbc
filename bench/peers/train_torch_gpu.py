#!/usr/bin/env python3
"""PyTorch's side of the training benchmark on a GPU: an epoch of each regime, at its best.

    train_torch_gpu.py [--recipe normal|adversarial|smoothing] [--network convnn] [--images 60000]
                       [--epochs 3] [--batch 128] [--modes …] [--limit S] [--device cuda]

What a careful user writes: the data set lives on the GPU, a permutation is drawn there, nothing
synchronises inside the epoch, Adam is fused. Every mode is tried on a few steps, and the fastest is
measured over whole epochs. A mode is a path of words joined by "-":
    fp32 | tf32 | bf16        products of the network (bf16: autocast; weights and Adam stay fp32)
    nchw | nhwc               memory format
    eager | graph | compile   as written; a step captured in a CUDA graph; torch.compile (max-autotune)
The batch is the recipe's: another one is another training. Not tried: TensorRT and other engines beside
PyTorch. --limit: no new mode is tried after S seconds. Prints one JSON line.
"""
import argparse
import itertools
import json
import statistics
import time

import torch
from torch.nn import functional as F

from certify_torch import NETWORKS

MODES = [f"{p}-{m}-{r}" for r, p, m in itertools.product(("graph", "eager", "compile"), ("tf32", "bf16", "fp32"),
                                                         ("nchw", "nhwc"))]
TRIED_STEPS = 100


def attacked(model, x, y, epsilon=5.0):
    """The fast gradient attack in L2, in training mode, as the adversarial recipe runs it."""
    x = x.detach().requires_grad_()
    gradient, = torch.autograd.grad(F.cross_entropy(model(x), y), x)
    norm = gradient.flatten(1).norm(dim=1).clamp_min(1e-30)
    return (x.detach() + epsilon * gradient / norm[:, None, None, None]).clamp_(0, 1)


class Trainer:
    """One way of training: step(chosen) trains on those images."""

    def __init__(self, options, mode):
        precision, layout, runner = mode.split("-")
        self.options, self.device = options, options.device
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
        torch.backends.cudnn.benchmark = True
        self.format = torch.channels_last if layout == "nhwc" else torch.contiguous_format
        self.autocast = precision == "bf16"
        shape, make = NETWORKS[options.network]
        self.model = make().to(self.device).to(memory_format=self.format).train()
        cuda = self.device == "cuda"
        self.optimizer = torch.optim.Adam(self.model.parameters(), **(
            {"fused": True, "capturable": runner == "graph"} if cuda else {}))
        self.images = torch.randint(0, 256, (options.images, *shape), dtype=torch.uint8, device=self.device)
        self.labels = torch.randint(0, 10, (options.images,), device=self.device)
        self.forward = torch.compile(self.model, mode="max-autotune") if runner == "compile" else self.model
        self.chosen = torch.zeros(options.batch, dtype=torch.long, device=self.device)
        self.step = self.captured() if runner == "graph" else self.plain

    def plain(self, chosen):
        x, y = self.images[chosen].float().div_(255), self.labels[chosen]
        x = x.contiguous(memory_format=self.format)
        with torch.autocast(self.device, dtype=torch.bfloat16, enabled=self.autocast):
            if self.options.recipe == "smoothing":
                x = (x + torch.randn_like(x)).clamp_(0, 1)
            elif self.options.recipe == "adversarial":
                x = attacked(self.forward, x, y)
            self.optimizer.zero_grad(set_to_none=True)
            loss = F.cross_entropy(self.forward(x), y)
        loss.backward()
        self.optimizer.step()

    def captured(self):
        """A full batch as a CUDA graph; a shorter last batch runs as written."""
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self.plain(self.chosen)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        self.optimizer.zero_grad(set_to_none=True)
        with torch.cuda.graph(graph):
            self.plain(self.chosen)

        def step(chosen):
            if len(chosen) != len(self.chosen):
                return self.plain(chosen)
            self.chosen.copy_(chosen)
            return graph.replay()
        return step

    def synchronise(self):
        if self.device == "cuda":
            torch.cuda.synchronize()

    def seconds(self, steps):
        """Of the first `steps` steps of an epoch, all of them for None."""
        batches = torch.randperm(len(self.labels), device=self.device).split(self.options.batch)[:steps]
        self.synchronise()
        start = time.perf_counter()
        for chosen in batches:
            self.step(chosen)
        self.synchronise()
        return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="normal", choices=("normal", "adversarial", "smoothing"))
    parser.add_argument("--network", default="convnn", choices=NETWORKS)
    parser.add_argument("--images", type=int, default=60000)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--modes", default=",".join(MODES))
    parser.add_argument("--limit", type=float, default=float("inf"))
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("train_torch_gpu: PyTorch finds no GPU")
    tried, start = {}, time.monotonic()
    for mode in options.modes.split(","):
        if tried and time.monotonic() - start > options.limit:
            break
        try:
            trainer = Trainer(options, mode)
            trainer.seconds(3)
            tried[mode] = trainer.seconds(TRIED_STEPS)
        except RuntimeError as error:  # a mode this PyTorch or this GPU does not have
            print(f"# {mode}: {str(error).splitlines()[0]}", flush=True)
        torch.cuda.empty_cache()
    if not tried:
        raise SystemExit("train_torch_gpu: none of the modes ran")
    mode = min(tried, key=tried.get)
    trainer = Trainer(options, mode)
    seconds = [trainer.seconds(None) for _ in range(options.epochs + 1)]
    print(json.dumps({"recipe": options.recipe, "network": options.network, "images": options.images,
                      "mode": mode, "seconds_per_epoch": statistics.median(seconds[1:]),
                      "device": torch.cuda.get_device_name() if options.device == "cuda" else "cpu",
                      "version": torch.__version__, "tried": tried}))


if __name__ == "__main__":
    main()
