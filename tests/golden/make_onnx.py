#!/usr/bin/env python3
"""Writes onnx/*.onnx and onnx.json: tiny models by both of PyTorch's exporters, ONNX Runtime's
logits of them, and models that are refused, with the words that must be in the refusal.

Needs torch 2.x, onnx, onnxscript and onnxruntime. Weights are random from a seed; what exporters
write beside the graph (traces, documentation) is taken out, so that the files stay small.
"""
import json
import os
import warnings

import numpy as np
import onnx
import onnxruntime
import torch
import torch.nn as nn
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper

warnings.filterwarnings("ignore")
here = os.path.dirname(os.path.abspath(__file__))
folder = os.path.join(here, "onnx")


class Normalize(nn.Module):
    def forward(self, x):
        mean = torch.tensor([0.4914, 0.4822, 0.4465]).view(1, 3, 1, 1)
        return (x - mean) / torch.tensor([0.2023, 0.1994, 0.2010]).view(1, 3, 1, 1)


class Block(nn.Module):
    def __init__(self, channels, out, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out)
        self.conv2, self.bn2 = nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out)
        self.down = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x):
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))) + self.down(x))


class Residual(nn.Module):
    """Normalisation, convolutions, residual sums, a view by the batch size."""

    def __init__(self):
        super().__init__()
        self.norm, self.block1, self.block2 = Normalize(), Block(3, 4, 1), Block(4, 6, 2)
        self.fc = nn.Linear(6, 5)

    def forward(self, x):
        x = F.avg_pool2d(self.block2(self.block1(self.norm(x))), 4)
        return self.fc(x.view(x.size(0), -1))


class Parts(nn.Module):
    """Channels split, shuffled and joined; rows and columns cut; shortcuts padded with zeros."""

    def __init__(self):
        super().__init__()
        self.c1, self.c2 = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1, groups=3)
        self.fc = nn.Linear(10 * 4 * 4, 5)

    def forward(self, x):
        a, b = self.c1(x).chunk(2, 1)
        y = torch.cat([self.c2(a), b], 1)
        y = y.view(y.size(0), 2, 3, 8, 8).transpose(1, 2).reshape(y.size(0), 6, 8, 8)
        y = F.pad(y[:, :, ::2, ::2], (0, 0, 0, 0, 1, 3))  # a shortcut without weights
        y = F.pad(y, (1, 2, 0, 1))[:, :, :4, 1:5]
        return self.fc(torch.flatten(y, 1))


class Functions(nn.Module):
    """Activations and normalisations, some of which exporters write out."""

    def __init__(self, layer_norm=True):
        super().__init__()
        self.c, self.p = nn.Conv2d(3, 4, (3, 5), padding=(1, 2)), nn.PReLU(4)
        self.g, self.i = nn.GroupNorm(2, 4), nn.InstanceNorm2d(4, affine=True)
        self.fc, self.o = nn.Linear(4 * 16, 8), nn.Linear(8, 5)
        self.ln = nn.LayerNorm(8) if layer_norm else nn.Identity()
        self.b = nn.BatchNorm1d(8)

    def forward(self, x):
        x = F.gelu(self.g(self.p(self.c(x))))
        x = F.hardswish(self.i(x))
        x = F.silu(F.max_pool2d(F.leaky_relu(x, 0.2), 3, 2, 1))
        x = torch.clamp(F.elu(x), -0.5, 0.75)
        x = self.fc(torch.flatten(x, 1))
        x = self.b(self.ln(x))
        x = torch.tanh(x) * torch.sigmoid(x) - 0.25 * F.relu6(3 - x)
        return self.o(F.dropout(F.hardsigmoid(x) + torch.clamp(x, max=1), 0.3, False))


def lively(model):
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm2d, nn.BatchNorm1d)):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
        if isinstance(module, (nn.BatchNorm2d, nn.BatchNorm1d, nn.GroupNorm, nn.InstanceNorm2d, nn.LayerNorm)):
            module.weight.data.uniform_(-1.5, 1.5)
            module.bias.data.normal_(0, 0.1)
    return model.eval()


def slim(path):
    model = onnx.load(path, load_external_data=False)
    model.doc_string = ""
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    del model.graph.value_info[:]
    for item in list(model.graph.node) + list(model.graph.input) + list(model.graph.output) + list(model.graph.initializer):
        item.doc_string = ""
        del item.metadata_props[:]
    onnx.save(model, path)


def pixels(index, shape=(3, 8, 8)):
    """As formula_image() of tests/layer_cases.cpp."""
    h = 2166136261
    for c in f"image {index}".encode():
        h = ((h ^ c) * 16777619) & 0xFFFFFFFF
    count = int(np.prod(shape))
    x = (h + np.arange(count, dtype=np.uint64) * 2654435761) & 0xFFFFFFFF
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & 0xFFFFFFFF
    x = ((x ^ (x >> 15)) * 0x846CA68B) & 0xFFFFFFFF
    x ^= x >> 16
    return ((x >> 8) * 2.0**-24).astype(np.float32).reshape(shape)


def exported(name, model, exporter, **options):
    path = os.path.join(folder, name + ".onnx")
    x = torch.from_numpy(np.stack([pixels(0), pixels(1)]))
    if exporter == "script":
        torch.onnx.export(model, (x[:1],), path, dynamo=False, input_names=["image"], **options)
    else:
        torch.onnx.export(model, (x,), path, dynamo=True, verbose=False,
                          dynamic_shapes=({0: torch.export.Dim("n")},), **options)
    slim(path)
    session = onnxruntime.InferenceSession(path)
    feed = session.get_inputs()[0].name
    logits = [session.run(None, {feed: x[i : i + 1].numpy()})[0][0] for i in range(2)]
    with torch.no_grad():
        assert np.abs(np.stack(logits) - model(x).numpy()).max() < 1e-5
    return [l.astype(float).tolist() for l in logits]


def handmade(name, nodes, weights, opset=13, shape=("n", 3, 8, 8), ir=8, image=TensorProto.FLOAT, domains=()):
    graph = helper.make_graph(
        nodes, "graph", [helper.make_tensor_value_info("image", image, shape)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ("n", 5))],
        [numpy_helper.from_array(v, k) for k, v in weights.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)] +
                              [helper.make_opsetid(d, 1) for d in domains])
    model.ir_version = ir
    onnx.save(model, os.path.join(folder, name + ".onnx"))


def main():
    os.makedirs(folder, exist_ok=True)
    golden = {}
    free = {"dynamic_axes": {"image": {0: "n"}}}
    for name, make in (("residual", Residual), ("parts", Parts), ("functions", Functions)):
        torch.manual_seed(7)
        model = lively(make())
        golden[f"{name}_script"] = exported(f"{name}_script", model, "script", opset_version=13, **free)
        golden[f"{name}_dynamo"] = exported(f"{name}_dynamo", model, "dynamo", external_data=False)
    torch.manual_seed(7)
    model = lively(Residual())
    golden["residual_opset11"] = exported("residual_opset11", model, "script", opset_version=11)
    golden["residual_external"] = exported("residual_external", model, "dynamo", external_data=True)
    torch.manual_seed(7)
    golden["functions_opset17"] = exported("functions_opset17", lively(Functions()), "script", opset_version=17, **free)

    rng = np.random.default_rng(1)
    head = {"w": rng.normal(size=(192, 5)).astype(np.float32)}
    flat = helper.make_node("Flatten", ["x"], ["flat"], name="flatten")
    gemm = helper.make_node("Gemm", ["flat", "w"], ["logits"], name="head")
    refused = {}

    def refuse(name, words, nodes, weights=None, **options):
        handmade(name, nodes, {**head, **(weights or {})}, **options)
        refused[name] = words

    node = helper.make_node
    refuse("refused_operator", "node 'up' (Resize): this operator is not supported",
           [node("Resize", ["image", "", "scales"], ["x"], name="up"), flat, gemm],
           {"scales": np.array([1, 1, 1, 1], np.float32)})
    refuse("refused_attention", "node 'scores' (MatMul): input 2 depends on the image; only constants",
           [node("MatMul", ["image", "image"], ["x"], name="scores"), flat, gemm])
    refuse("refused_domain", "node 'own' (Relu): an operator of domain 'com.example' is not supported",
           [node("Relu", ["image"], ["x"], name="own", domain="com.example"), flat, gemm], domains=("com.example",))
    refuse("refused_opset", "operators are of ONNX opset 9; 11 and newer are read",
           [node("Relu", ["image"], ["x"]), flat, gemm], opset=9)
    refuse("refused_size", "extent 3 of its input 'image' is not fixed",
           [node("Relu", ["image"], ["x"]), flat, gemm], shape=("n", 3, "h", "w"))
    refuse("refused_type", "input 'image' is not of float32",
           [node("Cast", ["image"], ["x"], to=1), flat, gemm], image=TensorProto.UINT8)
    refuse("refused_padding", "node 'mirror' (Pad): pads by 'reflect'",
           [node("Pad", ["image", "pads"], ["x"], name="mirror", mode="reflect"), flat, gemm],
           {"pads": np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64)})
    refuse("refused_batch", "node 'fold' (Reshape): its shape does not keep images apart",
           [node("Reshape", ["image", "shape"], ["flat"], name="fold"), gemm],
           {"shape": np.array([-1, 96], np.int64)})
    refuse("refused_erf", "node 'curve' (Erf): erf is supported as a part of GELU",
           [node("Erf", ["image"], ["x"], name="curve"), flat, gemm])
    refuse("refused_logits", "node 'logits' (output): gives 5×8×8 values for each image",
           [node("Conv", ["image", "k"], ["logits"], name="conv")],
           {"k": rng.normal(size=(5, 3, 1, 1)).astype(np.float32)})
    with open(os.path.join(here, "onnx.json"), "w", encoding="utf-8") as f:
        json.dump({"logits": golden, "refused": refused}, f, indent=1, ensure_ascii=False)
        f.write("\n")


main()
