"""A module of torch into a description and weights of ours, by watching one forward pass.

Every call of torch is seen while the module runs on an example (TorchFunctionMode), so that control
flow on shapes is no obstacle, whoever wrote the module. Values that depend on the image may go
through known layers only: whatever else touches them (a maximum, a comparison, an item) is refused by
name, so that a choice that depends on the image cannot be frozen in silence. The logits are compared
on other inputs at the end.
"""

from __future__ import annotations

import json
from typing import Any, Callable, NoReturn

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from . import _core
from ._errors import Error, UsageError
from ._torch_operators import PLAIN, ROWS, Operators, Unknown, bind

TOLERANCE = 1e-3  #: of the largest logit, as `smoothcert convert --check`


# Calls that say something about a tensor, not about its values.
_QUESTIONS = {
    "size", "dim", "ndimension", "numel", "nelement", "is_floating_point", "is_complex", "is_contiguous",
    "stride", "storage_offset", "get_device", "element_size", "__get__", "__len__", "__repr__",
    "is_signed", "__hash__", "data_ptr", "is_same_size", "__set__", "requires_grad_", "is_nonzero_size",
    "has_names", "is_inference", "_assert",
}  # fmt: skip
_DROPOUT = {"dropout", "dropout_", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout"}
_SAME = {"contiguous", "clone", "detach", "detach_", "identity", "alias", "view_as", "requires_grad_"}
_CAST = {"to", "float", "type", "type_as", "cpu", "cuda", "data"}
_SHAPED = {"flatten", "view", "reshape", "squeeze", "squeeze_", "unsqueeze", "unsqueeze_", "ravel", "unflatten",
           "reshape_as"}  # fmt: skip
_ARITHMETIC = {
    "add": "add", "add_": "add", "__add__": "add", "__iadd__": "add", "__radd__": "add",
    "sub": "sub", "sub_": "sub", "subtract": "sub", "__sub__": "sub", "__isub__": "sub",
    "rsub": "rsub", "__rsub__": "rsub",
    "mul": "mul", "mul_": "mul", "multiply": "mul", "__mul__": "mul", "__imul__": "mul", "__rmul__": "mul",
    "div": "div", "div_": "div", "divide": "div", "true_divide": "div", "__truediv__": "div",
    "__itruediv__": "div",
}  # fmt: skip


class _Recorder(Operators, TorchFunctionMode):
    def __init__(self, module: torch.nn.Module, image: torch.Tensor):
        super().__init__()
        self.layers: list[dict[str, Any]] = []
        self.tensors: dict[str, np.ndarray] = {}
        self.shape = tuple(image.shape[1:])
        self._layer_of = {id(image): "input"}  # of tensors that depend on the image
        self._alive = [image]  # an id is a tensor's own as long as it lives
        self._path = [""]
        self._types = {name: type(m).__name__ for name, m in module.named_modules()}
        self._names: set[str] = {"input"}

    # --- what is running ---------------------------------------------------------------------------

    def enter(self, name: str) -> Callable[..., None]:
        return lambda *_: self._path.append(name)

    def leave(self, *_: Any) -> None:
        self._path.pop()

    def where(self) -> str:
        path = self._path[-1]
        kind = self._types.get(path, "")
        return f"layer '{path}' ({kind})" if path else f"the module itself ({kind})"

    # --- layers ------------------------------------------------------------------------------------

    def layer_of(self, value: Any) -> str | None:
        return self._layer_of.get(id(value))

    def set_layer(self, value: torch.Tensor, layer: str) -> None:
        self._layer_of[id(value)] = layer
        self._alive.append(value)

    def add(self, op: str, inputs: list[str], **fields: Any) -> str:
        base = self._path[-1] or op
        name, count = base, 1
        while name in self._names:
            count += 1
            name = f"{base}_{count}"
        self._names.add(name)
        tensors = fields.pop("tensors", {})
        for suffix, tensor in tensors.items():
            self.tensors[f"{name}.{suffix}"] = self.constant(tensor, suffix)
        self.layers.append({"op": op, "name": name} | fields | {"inputs": inputs})
        return name

    def constant(self, value: Any, what: str) -> np.ndarray:
        """Values that do not depend on the image."""
        if self.layer_of(value) is not None:
            raise Unknown(f"its {what} depends on the image")
        return np.ascontiguousarray(value.detach().cpu().float().numpy())

    # --- calls -------------------------------------------------------------------------------------

    def _depends(self, value: Any) -> bool:
        if isinstance(value, torch.Tensor):
            return self.layer_of(value) is not None
        if isinstance(value, (list, tuple)):
            return any(self._depends(v) for v in value)
        if isinstance(value, dict):
            return any(self._depends(v) for v in value.values())
        return False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", str(func))
        if not self._depends(args) and not self._depends(kwargs):
            out = func(*args, **kwargs)
            self._alive.append(out)
            return out
        out = func(*args, **kwargs)
        if name in _QUESTIONS or name.startswith(("is_", "has_", "get_", "set_grad")):
            if isinstance(out, torch.Tensor):  # .data, .T
                self._take(out, lambda: self._property(args[0], out))
            return out
        self._take(out, lambda: self._call(name, args, kwargs, out))
        if not isinstance(out, torch.Tensor):
            self._refuse(f"{name} gives a value that depends on the image")
        return out

    def _take(self, out: Any, what: Callable[[], str]) -> None:
        try:
            layer = what()
        except Unknown as unknown:
            self._refuse(str(unknown))
        if isinstance(out, torch.Tensor):
            if out.dtype != torch.float32:
                self._refuse(f"it computes in {str(out.dtype).replace('torch.', '')}")
            self.set_layer(out, layer)

    def _refuse(self, why: str) -> NoReturn:
        raise UsageError(
            f"from_torch: {self.where()} stopped it: {why}. sc.certify(module, …) works all the same"
        )

    def _call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> str:
        if name in _ARITHMETIC:
            return self._arithmetic(_ARITHMETIC[name], args, kwargs)
        if name in _DROPOUT or name in _SAME:
            if name in _DROPOUT and bind("input p training inplace", args, kwargs).get("training", False):
                raise Unknown("dropout is on")
            return self._layer_of[id(args[0])]
        if name in _CAST:
            return self._layer_of[id(args[0])]
        if name in _SHAPED:
            return self._view(args[0], out)
        base = name[:-1] if name.endswith("_") else name
        if base in PLAIN:
            return self.plain(base, args, kwargs)
        handler = getattr(self, f"_op_{base}", None)
        if handler is None:
            raise Unknown(f"{name} has no counterpart here")
        return handler(args, kwargs, out)


def _needed(layers: list[dict[str, Any]], last: str) -> list[dict[str, Any]]:
    """Those that the logits need."""
    needed = {last}
    kept = []
    for layer in reversed(layers):
        if layer["name"] in needed:
            needed.update(layer["inputs"])
            kept.append(layer)
    return kept[::-1]


def _is_ones(values: list[float]) -> bool:
    return all(v == 1.0 for v in values)


def _joined(layers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A subtraction and the division after it as one normalisation, where nobody else sees the
    difference."""
    uses: dict[str, int] = {}
    for layer in layers:
        for name in layer["inputs"]:
            uses[name] = uses.get(name, 0) + 1
    by_name: dict[str, dict[str, Any]] = {}
    out: list[dict[str, Any]] = []
    for layer in layers:
        first = by_name.get(layer["inputs"][0]) if layer["op"] == "normalize" else None
        if first is not None and first["op"] == "normalize" and uses[first["name"]] == 1:
            if _is_ones(first["std"]) and not any(layer["mean"]):
                out.remove(first)
                layer = layer | {"mean": first["mean"], "inputs": first["inputs"]}
        by_name[layer["name"]] = layer
        out.append(layer)
    return out


def _example_rows(example: Any, parameters: list[torch.Tensor]) -> torch.Tensor:
    if isinstance(example, (tuple, list)) and all(isinstance(v, int) for v in example):
        example = torch.rand(tuple(example), generator=torch.Generator().manual_seed(0))
    if not isinstance(example, torch.Tensor):
        example = torch.from_numpy(np.array(example))
    if example.dtype == torch.uint8:
        example = example.float() / 255
    example = example.detach().to(dtype=torch.float32)
    if example.dim() == 3:
        example = example[None]
    if example.dim() != 4 or len(example) == 0:
        raise UsageError(
            f"from_torch: an example of shape {tuple(example.shape)}; an image C×H×W, a batch N×C×H×W, "
            "or (C, H, W) is needed"
        )
    device = parameters[0].device if parameters else torch.device("cpu")
    return example[torch.arange(ROWS) % len(example)].to(device).contiguous()


def _answer(out: Any) -> Any:
    if isinstance(out, (tuple, list)) and len(out) == 1:
        return out[0]
    return out.logits if hasattr(out, "logits") else out


def _record(module: torch.nn.Module, image: torch.Tensor) -> tuple[_Recorder, list[dict[str, Any]], int]:
    recorder = _Recorder(module, image)
    hooks = []
    try:
        for name, child in module.named_modules(remove_duplicate=True):
            if isinstance(child, torch.jit.ScriptModule):
                raise UsageError(
                    f"from_torch: layer '{name}' stopped it: it is compiled by torch.jit. "
                    "sc.certify(module, …) works all the same"
                )
            if name:
                hooks.append(child.register_forward_pre_hook(recorder.enter(name)))
                hooks.append(child.register_forward_hook(recorder.leave))
        with torch.no_grad(), recorder:
            out = _answer(module(image))
    finally:
        for hook in hooks:
            hook.remove()
    last = recorder.layer_of(out) if isinstance(out, torch.Tensor) else None
    if last is None or last == "input" or out.dim() != 2:
        what = f"{tuple(out.shape)}" if isinstance(out, torch.Tensor) else type(out).__name__
        raise UsageError(
            f"from_torch: the module answers with {what}, not with N×classes logits of its layers. "
            "sc.certify(module, …) works all the same"
        )
    return recorder, _joined(_needed(recorder.layers, last)), int(out.shape[1])


def _compare(module: torch.nn.Module, network: Any, image: torch.Tensor) -> None:
    """Logits on other inputs, in [0, 1] and with noise, which leaves it."""
    from ._tools import Network

    generator = torch.Generator().manual_seed(1)
    shape = (4, *image.shape[1:])
    images = torch.rand(shape, generator=generator)
    noisy = images + 0.5 * torch.randn(shape, generator=generator)
    inputs = torch.cat([image[:1].cpu(), images, noisy])
    with torch.no_grad():
        theirs = _answer(module(inputs.to(image.device))).detach().cpu().double().numpy()
    ours = Network(network, device="cpu").forward(inputs.numpy()).astype(np.float64)
    largest = np.abs(theirs).max()
    off = np.abs(ours - theirs).max()
    if not np.isfinite(theirs).all() or not off <= TOLERANCE * largest:
        raise Error(
            f"from_torch: the logits differ by {off:.3g} where the largest is {largest:.3g} "
            f"(tolerance {TOLERANCE} of it): the module does something that its example does not show. "
            "sc.certify(module, …) works all the same"
        )


def network_from_torch(module: torch.nn.Module, example: Any, *, name: str | None, clamp: bool | None) -> Any:
    if not isinstance(module, torch.nn.Module):
        raise UsageError(f"from_torch: {type(module).__name__} is no nn.Module")
    module = getattr(module, "_orig_mod", module)  # of torch.compile()
    training = [n or type(module).__name__ for n, m in module.named_modules() if m.training]
    if training:
        raise UsageError(f"from_torch: the module is in training mode ({training[0]}); call module.eval() first")
    parameters = list(module.parameters()) + list(module.buffers())
    for key, tensor in [*module.named_parameters(), *module.named_buffers()]:
        if tensor.is_floating_point() and tensor.dtype != torch.float32:
            raise UsageError(
                f"from_torch: {key} is {str(tensor.dtype).replace('torch.', '')}; module.float() first"
            )
    image = _example_rows(example, parameters)
    recorder, layers, classes = _record(module, image)
    description = {
        "name": name or type(module).__name__,
        "input": list(recorder.shape),
        "classes": classes,
        "layers": layers,
    }
    held = {layer["name"] for layer in layers}
    tensors = {k: v for k, v in recorder.tensors.items() if k.rpartition(".")[0] in held}
    network = _core.Network.make(json.dumps(description), tensors, clamp)
    _compare(module, network, image)
    return network
