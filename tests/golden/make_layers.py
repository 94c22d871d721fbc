#!/usr/bin/env python3
"""Writes layers.json and networks.json: PyTorch's logits of tests/layer_cases.cpp's rows and of the
built-in networks of the literature, in double, with tensors by the formula of that file.

Needs PyTorch (made with 1.13). The networks of ImageNet are taken at 64 x 64, as large as shows
every layer, and at their own 224 x 224.
"""
import json
import os
import re

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

here = os.path.dirname(os.path.abspath(__file__))


def formula(name, count, low, high):
    h = 2166136261
    for c in name.encode():
        h = ((h ^ c) * 16777619) & 0xFFFFFFFF
    x = (h + np.arange(count, dtype=np.uint64) * 2654435761) & 0xFFFFFFFF
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & 0xFFFFFFFF
    x = ((x ^ (x >> 15)) * 0x846CA68B) & 0xFFFFFFFF
    x ^= x >> 16
    return (low + (high - low) * ((x >> 8) * 2.0**-24)).astype(np.float32)


def tensor_of(name, shape):
    count = int(np.prod(shape))
    low, high = -0.2, 0.2
    if name.endswith(".running_var"):
        low, high = 0.5, 1.5
    elif name.endswith(".value"):
        low, high = -1, 1
    elif name.endswith(".weight") and len(shape) == 1:
        low, high = 0.3, 0.9
    elif name.endswith(".weight"):
        high = (3.0 * shape[0] / count) ** 0.5
        low = -high
    return torch.from_numpy(formula(name, count, low, high).reshape(shape)).double()


def image_of(shape, index):
    count = int(np.prod(shape))
    return torch.from_numpy(formula(f"image {index}", count, 0, 1).reshape(shape)).double()


def pair(v):
    return tuple(v) if isinstance(v, list) else (v, v)


def apply(layer, x):
    """One layer of a description on the list of its inputs."""
    op, name = layer["op"], layer.get("name", "")
    t = lambda part, shape: tensor_of(f"{name}.{part}", shape)
    a = x[0] if x else None
    c = a.shape[1] if x else 0
    if op == "conv2d":
        k, groups = pair(layer["kernel"]), layer.get("groups", 1)
        out = layer["out_channels"]
        padding = layer.get("padding", 0)
        return F.conv2d(a, t("weight", (out, c // groups) + k),
                        t("bias", (out,)) if layer.get("bias", True) else None,
                        stride=pair(layer.get("stride", 1)),
                        padding=padding if isinstance(padding, str) else pair(padding),
                        dilation=pair(layer.get("dilation", 1)), groups=groups)
    if op == "linear":
        out = layer["out_features"]
        return F.linear(a.flatten(1), t("weight", (out, c)), t("bias", (out,)))[:, :, None, None]
    if op in ("maxpool", "avgpool"):
        k = pair(layer["kernel"])
        stride = pair(layer["stride"]) if "stride" in layer else k
        padding, ceil = pair(layer.get("padding", 0)), layer.get("ceil_mode", False)
        if op == "maxpool":
            return F.max_pool2d(a, k, stride, padding, pair(layer.get("dilation", 1)), ceil)
        return F.avg_pool2d(a, k, stride, padding, ceil, layer.get("count_include_pad", True))
    if op == "adaptive_avgpool":
        return F.adaptive_avg_pool2d(a, pair(layer["output"]))
    if op == "adaptive_maxpool":
        return F.adaptive_max_pool2d(a, pair(layer["output"]))
    if op == "global_avg_pool":
        return F.adaptive_avg_pool2d(a, 1)
    if op == "normalize":
        # As float32 in the description.
        mean = torch.tensor(np.float32(layer["mean"])).double()[:, None, None]
        return (a - mean) / torch.tensor(np.float32(layer["std"])).double()[:, None, None]
    if op == "batchnorm":
        affine = layer.get("affine", True)
        return F.batch_norm(a, t("running_mean", (c,)), t("running_var", (c,)),
                            t("weight", (c,)) if affine else None,
                            t("bias", (c,)) if affine else None, eps=layer.get("eps", 1e-5))
    if op == "groupnorm":
        affine = layer.get("affine", True)
        return F.group_norm(a, layer["groups"], t("weight", (c,)) if affine else None,
                            t("bias", (c,)) if affine else None, layer.get("eps", 1e-5))
    if op == "layernorm":
        shape = (c,) if a.shape[2:] == (1, 1) else tuple(a.shape[1:])
        return F.layer_norm(a.reshape((-1,) + shape), shape, t("weight", shape), t("bias", shape),
                            layer.get("eps", 1e-5)).reshape(a.shape)
    if op == "instancenorm":
        affine = layer.get("affine", False)
        return F.instance_norm(a, weight=t("weight", (c,)) if affine else None,
                               bias=t("bias", (c,)) if affine else None, eps=layer.get("eps", 1e-5))
    if op == "prelu":
        return F.prelu(a, t("weight", (layer.get("slopes", 1),)))
    if op == "constant":
        return t("value", tuple(layer["shape"]))[None]
    return {
        "relu": lambda: F.relu(a),
        "leaky_relu": lambda: F.leaky_relu(a, layer.get("slope", 0.01)),
        "relu6": lambda: F.relu6(a),
        "elu": lambda: F.elu(a, layer.get("alpha", 1.0)),
        "silu": lambda: F.silu(a),
        "sigmoid": lambda: torch.sigmoid(a),
        "tanh": lambda: torch.tanh(a),
        "gelu": lambda: F.gelu(a, approximate=layer.get("approximate", "none")),
        "hardswish": lambda: F.hardswish(a),
        "softmax": lambda: F.softmax(a, 1),
        "concat": lambda: torch.cat(x, 1),
        "add": lambda: x[0] + x[1],
        "sub": lambda: x[0] - x[1],
        "mul": lambda: x[0] * x[1],
        "flatten": lambda: a.flatten(1)[:, :, None, None],
        "reshape": lambda: a.reshape((-1,) + tuple(layer["shape"])),
        "identity": lambda: a,
        "dropout": lambda: F.dropout(a, layer.get("p", 0.5), training=False),
    }[op]()


def logits_of(layers, shape, index):
    values = {"input": image_of(shape, index)[None]}
    last = values["input"]
    for layer in layers + [{"op": "flatten"}, {"op": "linear", "name": "head", "out_features": 5}]:
        inputs = layer.get("inputs")
        if inputs is None:
            x = [] if layer["op"] == "constant" else [last]
        else:
            x = [values[i] for i in inputs]
        last = apply(layer, x)
        values[layer.get("name", "")] = last
    return last.flatten().tolist()


class Block(nn.Module):
    """BasicBlock or Bottleneck of the ResNets."""

    def __init__(self, channels, width, stride, bottleneck):
        super().__init__()
        self.bottleneck, out = bottleneck, width * (4 if bottleneck else 1)
        conv = lambda i, o, k, s=1: nn.Conv2d(i, o, k, s, k // 2, bias=False)
        if bottleneck:
            self.conv1, self.conv2, self.conv3 = conv(channels, width, 1), conv(width, width, 3, stride), conv(width, out, 1)
            self.bn3 = nn.BatchNorm2d(out)
        else:
            self.conv1, self.conv2 = conv(channels, width, 3, stride), conv(width, width, 3)
        self.bn1, self.bn2 = nn.BatchNorm2d(width), nn.BatchNorm2d(width)
        self.downsample = None
        if stride != 1 or channels != out:
            self.downsample = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        if self.bottleneck:
            y = self.bn3(self.conv3(F.relu(y)))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    def __init__(self, blocks, widths, bottleneck, imagenet):
        super().__init__()
        stem = 64 if imagenet else 16
        self.imagenet, self.count = imagenet, len(blocks)
        self.conv1 = nn.Conv2d(3, stem, 7, 2, 3, bias=False) if imagenet else nn.Conv2d(3, stem, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(stem)
        channels = stem
        for i, (n, width) in enumerate(zip(blocks, widths)):
            stage = []
            for b in range(n):
                stage.append(Block(channels, width, 2 if i > 0 and b == 0 else 1, bottleneck))
                channels = width * (4 if bottleneck else 1)
            setattr(self, f"layer{i + 1}", nn.Sequential(*stage))
        self.fc = nn.Linear(channels, 1000 if imagenet else 10)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        if self.imagenet:
            x = F.max_pool2d(x, 3, 2, 1)
        for i in range(self.count):
            x = getattr(self, f"layer{i + 1}")(x)
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


class WideBlock(nn.Module):
    def __init__(self, channels, width, stride):
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(channels), nn.Conv2d(channels, width, 3, stride, 1, bias=False)
        self.bn2, self.conv2 = nn.BatchNorm2d(width), nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.convShortcut = None if channels == width else nn.Conv2d(channels, width, 1, stride, bias=False)

    def forward(self, x):
        y = F.relu(self.bn1(x))
        shortcut = x if self.convShortcut is None else self.convShortcut(y)
        return shortcut + self.conv2(F.relu(self.bn2(self.conv1(y))))


class Stage(nn.Module):
    def __init__(self, blocks):
        super().__init__()
        self.layer = nn.Sequential(*blocks)

    def forward(self, x):
        return self.layer(x)


class WideResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        channels = 16
        for i, width in enumerate((160, 320, 640)):
            blocks = [WideBlock(channels if b == 0 else width, width, 2 if i > 0 and b == 0 else 1) for b in range(4)]
            setattr(self, f"block{i + 1}", Stage(blocks))
            channels = width
        self.bn1, self.fc = nn.BatchNorm2d(640), nn.Linear(640, 10)

    def forward(self, x):
        x = self.block3(self.block2(self.block1(self.conv1(x))))
        return self.fc(F.avg_pool2d(F.relu(self.bn1(x)), 8).flatten(1))


class Brc(nn.Module):
    def __init__(self, channels, out, kernel):
        super().__init__()
        self.norm, self.conv = nn.BatchNorm2d(channels), nn.Conv2d(channels, out, kernel, 1, kernel // 2, bias=False)

    def forward(self, x):
        return self.conv(F.relu(self.norm(x)))


class DenseLayer(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.brc_1, self.brc_2 = Brc(channels, 48, 1), Brc(48, 12, 3)

    def forward(self, x):
        return torch.cat([x, self.brc_2(self.brc_1(x))], 1)


class DenseNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features, channels = nn.Sequential(), 24
        self.features.add_module("conv0", nn.Conv2d(3, 24, 3, 1, 1, bias=False))
        for i in range(3):
            block = nn.Sequential()
            for l in range(6):
                block.add_module(f"layer{l + 1}", DenseLayer(channels))
                channels += 12
            self.features.add_module(f"block{i + 1}", block)
            if i < 2:
                self.features.add_module(f"trans{i + 1}", nn.AvgPool2d(2))
        self.features.add_module("norm_last", nn.BatchNorm2d(channels))
        self.classifier = nn.Linear(channels, 10)

    def forward(self, x):
        return self.classifier(F.avg_pool2d(F.relu(self.features(x)), 8).flatten(1))


class Vgg(nn.Module):
    def __init__(self):
        super().__init__()
        layers, channels = [], 3
        for width in (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0):
            if width == 0:
                layers.append(nn.MaxPool2d(2))
            else:
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
                channels = width
        self.features, self.classifier = nn.Sequential(*layers), nn.Linear(512, 10)

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))


def network_golden(model, size):
    model = model.double().eval()
    state = model.state_dict()
    with torch.no_grad():
        for name, tensor in state.items():
            if not name.endswith("num_batches_tracked"):
                tensor.copy_(tensor_of(name, tuple(tensor.shape)))
        logits = model(image_of((3, size, size), 0)[None])[0]
    return {"size": size, "parameters": sum(p.numel() for p in model.parameters()),
            "largest": float(logits.abs().max()), "mean": float(logits.mean()),
            "logits": logits[:10].tolist()}


def main():
    with open(os.path.join(here, "..", "layer_cases.cpp"), encoding="utf-8") as f:
        text = f.read().split("speed_cases()")[0]
    rows = re.findall(r'\{"([^"]+)",\s*\{(\d+), (\d+), (\d+)\},\s*R"\((.*?)\)"', text, re.S)
    golden = {}
    for name, c, h, w, layers in rows:
        shape = (int(c), int(h), int(w))
        golden[name] = [logits_of(json.loads(layers), shape, i) for i in range(2)]
    lines = ",\n".join(f"  {json.dumps(n)}: {json.dumps(v)}" for n, v in golden.items())
    with open(os.path.join(here, "layers.json"), "w", encoding="utf-8") as f:
        f.write("{\n" + lines + "\n}\n")
    models = {
        "resnet20": (ResNet([3] * 3, (16, 32, 64), False, False), 32),
        "resnet110": (ResNet([18] * 3, (16, 32, 64), False, False), 32),
        "resnet18": (ResNet([2] * 4, (64, 128, 256, 512), False, True), 64),
        "resnet50": (ResNet([3, 4, 6, 3], (64, 128, 256, 512), True, True), 64),
        "wrn-28-10": (WideResNet(), 32),
        "densenet-40": (DenseNet(), 32),
        "vgg16-bn": (Vgg(), 32),
    }
    goldens = {n: network_golden(*m) for n, m in models.items()}
    for n in ("resnet18", "resnet50"):
        goldens[f"{n} at 224"] = {"network": n, **network_golden(models[n][0], 224)}
    lines = ",\n".join(f"  {json.dumps(n)}: {json.dumps(v)}" for n, v in goldens.items())
    with open(os.path.join(here, "networks.json"), "w", encoding="utf-8") as f:
        f.write("{\n" + lines + "\n}\n")


main()
