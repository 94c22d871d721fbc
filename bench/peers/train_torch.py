#!/usr/bin/env python3
"""PyTorch's side of the training benchmark: one epoch on the CPU, as well as eager PyTorch does it.

    train_torch.py --network convnn --regime normal --threads 2 [--variant V] [--images N] [--epochs E]

The data is one tensor in memory and a batch one index_select: no DataLoader. Without --variant,
each combination of memory layout and optimiser implementation is tried for some steps and the
fastest one is measured. Prints one JSON line.
"""
import argparse
import json
import statistics
import time

import torch
from torch import nn
from torch.nn import functional

from certify_torch import NETWORKS

VARIANTS = ("plain", "fused", "channels_last", "fused+channels_last")


def make_optimizer(network, model, fused):
    options = {"fused": True} if fused else {}
    if network == "lenet":
        return torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4,
                               **options)
    return torch.optim.Adam(model.parameters(), lr=1e-3, **options)


class Trainer:
    def __init__(self, options, variant):
        torch.manual_seed(0)
        shape, build = NETWORKS[options.network]
        self.lenet = options.network == "lenet"
        self.batch = options.batch or (256 if self.lenet else 128)
        self.regime = options.regime
        self.layout = (torch.channels_last if "channels_last" in variant
                       else torch.contiguous_format)
        self.model = build().to(memory_format=self.layout).train()
        self.optimizer = make_optimizer(options.network, self.model, "fused" in variant)
        self.images = torch.randint(0, 256, (options.images, *shape), dtype=torch.uint8)
        self.images = self.images.float().div_(255).contiguous(memory_format=self.layout)
        self.labels = torch.randint(0, 10, (options.images,))

    def attacked(self, x, y):
        """One L2 step of 5 in training mode, as the study does it."""
        x = x.requires_grad_(True)
        gradient, = torch.autograd.grad(functional.cross_entropy(self.model(x), y), x)
        with torch.no_grad():
            norm = gradient.flatten(1).norm(dim=1).clamp_(min=1e-30).view(-1, 1, 1, 1)
            return x.add(gradient.div_(norm), alpha=5.0).clamp_(0, 1)

    def step(self, indices):
        x, y = self.images.index_select(0, indices), self.labels.index_select(0, indices)
        if self.regime == "adversarial":
            x = self.attacked(x, y)
        elif self.regime == "smoothing":
            x = x.add_(torch.randn_like(x), alpha=0.5 if self.lenet else 1.0)
            if not self.lenet:
                x = x.clamp_(0, 1)
        self.optimizer.zero_grad(set_to_none=True)
        functional.cross_entropy(self.model(x), y).backward()
        self.optimizer.step()

    def epoch(self, steps=None):
        start = time.perf_counter()
        order = torch.randperm(len(self.images)).split(self.batch)
        for indices in order[:steps]:
            self.step(indices)
        return time.perf_counter() - start


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--network", choices=NETWORKS, default="convnn")
    arguments.add_argument("--regime", choices=("normal", "adversarial", "smoothing"),
                           default="normal")
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--images", type=int, default=60000)
    arguments.add_argument("--batch", type=int, default=0)
    arguments.add_argument("--epochs", type=int, default=1)
    arguments.add_argument("--variant", choices=VARIANTS)
    options = arguments.parse_args()

    torch.set_num_threads(options.threads)
    variant = options.variant
    if variant is None:
        tried = {}
        for candidate in VARIANTS:
            try:
                trainer = Trainer(options, candidate)
                trainer.epoch(10)  # warm-up
                tried[candidate] = trainer.epoch(40)
            except (RuntimeError, TypeError):  # no fused optimiser on this version
                continue
        variant = min(tried, key=tried.get)
    trainer = Trainer(options, variant)
    trainer.epoch(10)
    cpu_before = time.process_time()  # of all threads
    seconds = [trainer.epoch() for _ in range(options.epochs)]
    cpu_seconds = time.process_time() - cpu_before
    print(json.dumps({
        "network": options.network, "regime": options.regime, "threads": options.threads,
        "batch": trainer.batch, "images": options.images, "variant": variant,
        "seconds_per_epoch": statistics.median(seconds),
        "cpu_seconds_per_epoch": cpu_seconds / options.epochs,
        "version": torch.__version__}))


if __name__ == "__main__":
    main()
