#!/usr/bin/env python3
"""Writes training.txt: what PyTorch makes of a small network, for the trainers' tests.

    make_training.py > training.txt        (any PyTorch ≥ 1.13 on the CPU; made with the one named
                                            in the first line of the file)

Network: 1×12×12 → conv 3×3 (3) → relu → batchnorm → maxpool 2 → conv 3×3 padding 1 (2) → relu →
maxpool 2 → flatten → linear (4). Parameters and images follow from the formulas below, which the
tests repeat. 24 images in order, batches of 10, so that the last one is short.
"""
import torch
from torch import nn
from torch.nn import functional

torch.set_num_threads(1)
IMAGES, BATCH = 24, 10


def build():
    model = nn.Sequential()
    for name, layer in [("conv1", nn.Conv2d(1, 3, 3)), ("relu1", nn.ReLU()),
                        ("bn1", nn.BatchNorm2d(3)), ("pool1", nn.MaxPool2d(2)),
                        ("conv2", nn.Conv2d(3, 2, 3, padding=1)), ("relu2", nn.ReLU()),
                        ("pool2", nn.MaxPool2d(2)), ("flat", nn.Flatten()),
                        ("fc1", nn.Linear(8, 4))]:
        model.add_module(name, layer)
    with torch.no_grad():
        for t, parameter in enumerate(model.parameters()):
            values = [((i * 37 + 11 * t) % 101 - 50) / 128 for i in range(parameter.numel())]
            parameter.copy_(torch.tensor(values).view_as(parameter))
    return model


def data():
    pixels = [(p * p * 7 + p * 3 + n * (29 + p)) % 256 for n in range(IMAGES) for p in range(144)]
    images = torch.tensor(pixels, dtype=torch.float32) * torch.tensor(1 / 255, dtype=torch.float32)
    return images.view(IMAGES, 1, 12, 12), torch.tensor([(n * n + n // 3) % 4 for n in range(IMAGES)])


def show(name, values):
    print(name, *[f"{v:.9g}" for v in values.detach().flatten().tolist()])


def show_model(prefix, model):
    for name, tensor in model.state_dict().items():
        if "num_batches" not in name:
            show(f"{prefix}/{name}", tensor)


def attacked(model, x, y):
    """One L2 step of size 2 on the gradient in training mode, clamped."""
    x = x.clone().requires_grad_(True)
    gradient, = torch.autograd.grad(functional.cross_entropy(model(x), y), x)
    norm = gradient.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    return (x.detach() + 2 * gradient / norm).clamp(0, 1)


def epoch(prefix, make_optimizer, adversarial=False, clean_weight=0.0):
    model = build().train()
    optimizer = make_optimizer(model.parameters())
    images, labels = data()
    losses = []
    for x, y in zip(images.split(BATCH), labels.split(BATCH)):
        inputs = attacked(model, x, y) if adversarial else x
        optimizer.zero_grad()
        loss = 0
        if clean_weight > 0:
            loss = clean_weight * functional.cross_entropy(model(x), y)
        loss = loss + (1 - clean_weight) * functional.cross_entropy(model(inputs), y)
        loss.backward()
        if not losses and prefix == "adam":
            for name, parameter in model.named_parameters():
                show(f"gradient/{name}", parameter.grad)
        optimizer.step()
        losses.append(loss.item())
    show(f"{prefix}/losses", torch.tensor(losses))
    show_model(prefix, model)


def main():
    print(f"# made by make_training.py with PyTorch {torch.__version__}")
    model, (images, labels) = build().eval(), data()
    x = images[:1].clone().requires_grad_(True)
    logits = model(x)
    show("eval/logits", logits)
    functional.cross_entropy(logits, labels[:1]).backward()
    show("eval/input_gradient", x.grad)
    epoch("adam", lambda p: torch.optim.Adam(p, lr=1e-2))
    epoch("sgd", lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=1e-2))
    epoch("adversarial", lambda p: torch.optim.Adam(p, lr=1e-2), adversarial=True)
    epoch("mixed", lambda p: torch.optim.SGD(p, lr=0.05), adversarial=True, clean_weight=0.25)


if __name__ == "__main__":
    main()
