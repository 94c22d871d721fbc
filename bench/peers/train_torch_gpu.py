#!/usr/bin/env python3
"""PyTorch's side of the training benchmark on a GPU: an epoch of each regime, eager.

    train_torch_gpu.py [--recipe normal|adversarial|smoothing] [--network convnn] [--images 60000]
                       [--epochs 3] [--batch 128] [--tf32]

What a careful user writes: the data set lives on the GPU, a permutation is drawn there, nothing
synchronises inside the epoch, Adam is fused. Prints one JSON line. The first epoch is warm-up.
"""
import argparse
import json
import statistics
import time

import torch
from torch.nn import functional as F

from certify_torch import NETWORKS


def attacked(model, x, y, epsilon=5.0):
    """The fast gradient attack in L2, in training mode, as the adversarial recipe runs it."""
    x = x.detach().requires_grad_()
    gradient, = torch.autograd.grad(F.cross_entropy(model(x), y), x)
    norm = gradient.flatten(1).norm(dim=1).clamp_min(1e-30)
    return (x.detach() + epsilon * gradient / norm[:, None, None, None]).clamp_(0, 1)


def epoch(model, optimizer, images, labels, recipe, batch):
    order = torch.randperm(len(labels), device="cuda")
    for chosen in order.split(batch):
        x, y = images[chosen].float().div_(255), labels[chosen]
        if recipe == "smoothing":
            x = (x + torch.randn_like(x)).clamp_(0, 1)
        elif recipe == "adversarial":
            x = attacked(model, x, y)
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(model(x), y).backward()
        optimizer.step()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", default="normal",
                        choices=("normal", "adversarial", "smoothing"))
    parser.add_argument("--network", default="convnn", choices=NETWORKS)
    parser.add_argument("--images", type=int, default=60000)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--tf32", action="store_true")
    options = parser.parse_args()
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = options.tf32
    torch.backends.cudnn.benchmark = True

    shape, make = NETWORKS[options.network]
    model = make().cuda().train()
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    images = torch.randint(0, 256, (options.images, *shape), dtype=torch.uint8, device="cuda")
    labels = torch.randint(0, 10, (options.images,), device="cuda")
    seconds = []
    for _ in range(options.epochs + 1):
        torch.cuda.synchronize()
        start = time.perf_counter()
        epoch(model, optimizer, images, labels, options.recipe, options.batch)
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    print(json.dumps({"recipe": options.recipe, "network": options.network,
                      "images": options.images,
                      "seconds_per_epoch": statistics.median(seconds[1:]),
                      "device": torch.cuda.get_device_name(),
                      "version": torch.__version__}))


if __name__ == "__main__":
    main()
