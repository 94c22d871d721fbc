#!/usr/bin/env python3
"""Writes tests/golden/checkpoints/: one tiny network as PyTorch saves it in all the ways that are
around, and the values expected of it. Needs torch (made with 2.15); the tests do not.

    python3 tests/golden/make_checkpoints.py
"""
import json
import pathlib
import struct
import zipfile

import torch
from torch import nn

OUT = pathlib.Path(__file__).parent / "checkpoints"
OUT.mkdir(exist_ok=True)

SPEC = {
    "name": "tiny", "input": [2, 4, 4], "classes": 3,
    "layers": [
        {"op": "conv2d", "name": "conv1", "out_channels": 2, "kernel": 3, "padding": 1},
        {"op": "batchnorm", "name": "bn1"},
        {"op": "relu"},
        {"op": "maxpool", "kernel": 2},
        {"op": "flatten"},
        {"op": "linear", "name": "fc1", "out_features": 3},
    ],
}
MEAN, STD = [0.25, 0.5], [0.125, 2.0]


class Tiny(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 2, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(2)
        self.fc1 = nn.Linear(8, 3)

    def forward(self, x):
        return self.fc1(torch.flatten(torch.max_pool2d(torch.relu(self.bn1(self.conv1(x))), 2), 1))


class Normalize(nn.Module):
    def __init__(self, buffers):
        super().__init__()
        if buffers:
            self.register_buffer("means", torch.tensor(MEAN))
            self.register_buffer("sds", torch.tensor(STD).reshape(1, 2, 1, 1))

    def forward(self, x):
        return x


def save_safetensors(tensors, file):
    header, data = {}, b""
    for name, tensor in sorted(tensors.items()):
        raw = tensor.contiguous().float().numpy().tobytes()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape),
                        "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    file.write_bytes(struct.pack("<Q", len(text)) + text + data)


torch.manual_seed(7)
net = Tiny()
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
for _ in range(3):  # so that running statistics and the optimizer hold something
    optimizer.zero_grad()
    net(torch.rand(5, 2, 4, 4)).sum().backward()
    optimizer.step()
# Values that survive every format: multiples of 1/64 below 2 are exact in bfloat16 too.
with torch.no_grad():
    for value in net.state_dict().values():
        if value.is_floating_point():
            value.copy_((value * 64).round().clamp(-100, 100) / 64)
    net.bn1.running_var.clamp_(min=0.25)
state = net.state_dict()

(OUT / "tiny.json").write_text(json.dumps(SPEC, indent=1) + "\n")
save_safetensors({k: v for k, v in state.items() if v.is_floating_point()},
                 OUT / "expected.safetensors")
torch.save(state, OUT / "bare.pt")
torch.save({"epoch": 3, "arch": "tiny", "best": 0.5, "done": False, "nothing": None,
            "state_dict": nn.DataParallel(net).state_dict(),
            "optimizer": optimizer.state_dict()}, OUT / "wrapped.pth.tar")
torch.save({"model": state, "lr": [1e-3, 2**70]}, OUT / "model_key.pth")
torch.save(nn.Sequential(Normalize(True), nn.DataParallel(net)).state_dict(),
           OUT / "normalized.pt")
torch.save(nn.Sequential(Normalize(False), net).state_dict(), OUT / "normalized_no_buffers.pt")
torch.save({k: v.half() if v.is_floating_point() else v for k, v in state.items()},
           OUT / "half.pt")
torch.save({k: v.bfloat16() if v.is_floating_point() else v for k, v in state.items()},
           OUT / "bfloat16.pt")
torch.save({k: v.double() if v.is_floating_point() else v for k, v in state.items()},
           OUT / "double.pt")
# Views: channels last, a transpose, every other element, and two tensors in one storage.
views = dict(state)
views["conv1.weight"] = state["conv1.weight"].to(memory_format=torch.channels_last)
views["fc1.weight"] = state["fc1.weight"].t().contiguous().t()
views["fc1.bias"] = torch.stack([state["fc1.bias"], torch.full((3,), 9.0)], 1)[:, 0]
both = torch.cat([torch.full((3,), 9.0), state["bn1.weight"], state["bn1.bias"]])
views["bn1.weight"], views["bn1.bias"] = both[3:5], both[5:7]
torch.save(views, OUT / "views.pt")
torch.save({k: nn.Parameter(v) if v.is_floating_point() else v for k, v in state.items()},
           OUT / "parameters.pt")
torch.save(state, OUT / "legacy.pt", _use_new_zipfile_serialization=False)
torch.save(state, OUT / "protocol5.pt", pickle_protocol=5)
torch.save(net, OUT / "whole_module.pt")
with zipfile.ZipFile(OUT / "bare.pt") as stored, \
        zipfile.ZipFile(OUT / "deflated.pt", "w", zipfile.ZIP_DEFLATED) as packed:
    for item in stored.infolist():
        packed.writestr(item.filename, stored.read(item))
