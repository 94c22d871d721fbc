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

ROWS = 3  #: of the example: a batch's extent should not look like a channel
TOLERANCE = 1e-3  #: of the largest logit, as `smoothcert convert --check`


class _Unknown(Exception):
    """What a layer does that has no counterpart here."""


class _Arguments(dict):
    """Arguments of a call by name."""

    def refuse(self, name: str, *allowed: Any) -> None:
        value = self.get(name, allowed[0])
        if value not in allowed:
            raise _Unknown(f"{name}={value!r} has no counterpart here")


def _bind(names: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Arguments:
    listed = names.split()
    bound = _Arguments(zip(listed, args))
    if len(args) > len(listed):
        raise _Unknown("it is called with more arguments than are known here")
    for key, value in kwargs.items():
        if key not in listed:
            raise _Unknown(f"its argument {key} is not known here")
        bound[key] = value
    return bound


def _pair(value: Any) -> Any:
    """A number, or [rows, columns] where they differ."""
    if isinstance(value, int):
        return value
    both = [int(v) for v in value]
    if len(both) == 1 or both[0] == both[1]:
        return both[0]
    return both


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


class _Recorder(TorchFunctionMode):
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
            raise _Unknown(f"its {what} depends on the image")
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
        except _Unknown as unknown:
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
            if name in _DROPOUT and _bind("input p training inplace", args, kwargs).get("training", False):
                raise _Unknown("dropout is on")
            return self._layer_of[id(args[0])]
        if name in _CAST:
            return self._layer_of[id(args[0])]
        if name in _SHAPED:
            return self._view(args[0], out)
        handler = getattr(self, f"_op_{name[:-1] if name.endswith('_') else name}", None)
        if handler is None:
            raise _Unknown(f"{name} has no counterpart here")
        return handler(args, kwargs, out)

    def _one(self, a: _Arguments) -> list[str]:
        layer = self.layer_of(a["input"])
        if layer is None:
            raise _Unknown("a layer is applied to a constant, with weights that depend on the image")
        return [layer]

    def _map(self, a: _Arguments) -> list[str]:
        """The input of a layer that works on N×C×H×W."""
        if a["input"].dim() != 4:
            raise _Unknown(f"it works on {a['input'].dim()} dimensions; N×C×H×W is known here")
        return self._one(a)

    def _view(self, before: torch.Tensor, out: torch.Tensor) -> str:
        layer = self._layer_of[id(before)]
        if out.shape == before.shape:
            return layer
        if out.shape[0] != ROWS or out.dim() not in (2, 4):
            raise _Unknown(f"it makes {tuple(before.shape)} into {tuple(out.shape)}")
        if out.numel() != before.numel():
            raise _Unknown(f"it makes {tuple(before.shape)} into {tuple(out.shape)}")
        if before.dim() == 2 and out.shape[1:] == (*before.shape[1:], 1, 1):
            return layer  # the same here: a vector is m × 1 × 1
        if before.dim() == 4 and before.shape[2:] == (1, 1) and out.dim() == 2:
            return layer
        if out.dim() == 2:
            return self.add("flatten", [layer])
        return self.add("reshape", [layer], shape=list(out.shape[1:]))

    def _property(self, before: torch.Tensor, out: torch.Tensor) -> str:
        if out.shape != before.shape or out.stride() != before.stride():
            raise _Unknown("it moves axes")
        return self._layer_of[id(before)]

    def _arithmetic(self, op: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        a = _bind("input other alpha rounding_mode out", args, kwargs)
        a.refuse("alpha", 1)
        a.refuse("rounding_mode", None)
        a.refuse("out", None)
        first, second = a["input"], a["other"]
        if op == "rsub":
            op, first, second = "sub", second, first
        left, right = self.layer_of(first), self.layer_of(second)
        dims = {v.dim() for v, layer in ((first, left), (second, right)) if layer is not None}
        if len(dims) > 1:
            raise _Unknown("it joins a vector and a map")
        if left is not None and right is not None:
            if op == "div":
                raise _Unknown("it divides by a value that depends on the image")
            return self.add(op, [left, right])
        value = second if left is not None else first
        variable = first if left is not None else second
        number = np.float32(value) if not isinstance(value, torch.Tensor) else self.constant(value, "constant")
        shape = self._constant_shape(number.shape, variable.dim())
        layer = left if left is not None else right
        if op == "div" and right is not None:
            raise _Unknown("it divides by a value that depends on the image")
        constant = np.asarray(number, np.float32).reshape(shape)
        channels = variable.shape[1]
        if op == "add":
            op, left, right, constant = "sub", layer, None, -constant
        if left is not None and op in ("sub", "div") and shape[1:] == (1, 1) and shape[0] in (1, channels):
            per_channel = np.broadcast_to(constant.reshape(-1), channels)
            if op == "sub" or (per_channel > 0).all():
                return self._normalise(layer, op, per_channel)
        if op == "div":
            op, constant = "mul", 1 / constant
        held = self.add("constant", [], shape=list(shape), tensors={"value": torch.from_numpy(constant.copy())})
        return self.add(op, [layer, held] if left is not None else [held, layer])

    @staticmethod
    def _constant_shape(shape: tuple[int, ...], dims: int) -> tuple[int, int, int]:
        padded = (1,) * (dims - len(shape)) + tuple(shape)
        if len(padded) != dims or padded[0] != 1:
            raise _Unknown(f"its constant of shape {tuple(shape)} is not one for all images")
        return padded[1:] + (1,) * (4 - dims)  # type: ignore[return-value]

    def _normalise(self, layer: str, op: str, values: np.ndarray) -> str:
        """(x − mean) / std, which is one layer here."""
        numbers = [float(v) for v in values]
        if op == "sub":
            return self.add("normalize", [layer], mean=numbers, std=[1.0] * len(numbers))
        return self.add("normalize", [layer], mean=[0.0] * len(numbers), std=numbers)

    # --- layers with parameters --------------------------------------------------------------------

    def _op_conv2d(self, args: Any, kwargs: Any, out: Any) -> str:
        a = _bind("input weight bias stride padding dilation groups", args, kwargs)
        weight, bias = a["weight"], a.get("bias")
        padding = a.get("padding", 0)
        fields: dict[str, Any] = {
            "out_channels": weight.shape[0],
            "kernel": _pair(weight.shape[2:]),
            "stride": _pair(a.get("stride", 1)),
            "padding": padding if isinstance(padding, str) else _pair(padding),
            "dilation": _pair(a.get("dilation", 1)),
            "groups": a.get("groups", 1),
            "bias": bias is not None,
        }
        tensors = {"weight": weight} | ({} if bias is None else {"bias": bias})
        return self.add("conv2d", self._map(a), tensors=tensors, **fields)

    def _op_linear(self, args: Any, kwargs: Any, out: Any) -> str:
        a = _bind("input weight bias", args, kwargs)
        if a["input"].dim() != 2:
            raise _Unknown(f"it works on {a['input'].dim()} dimensions; N×features is known here")
        bias = a.get("bias")
        tensors = {"weight": a["weight"]} | ({} if bias is None else {"bias": bias})
        return self.add(
            "linear", self._one(a), out_features=a["weight"].shape[0], bias=bias is not None, tensors=tensors
        )

    def _op_batch_norm(self, args: Any, kwargs: Any, out: Any) -> str:
        names = "input running_mean running_var weight bias training momentum eps"
        # The function of torch.nn.functional; torch.batch_norm has another order.
        if len(args) > 1 and (args[1] is None or args[1] is kwargs.get("weight")):
            raise _Unknown("it normalises over the batch")
        a = _bind(names, args, kwargs)
        if a.get("running_mean") is None or a.get("training"):
            raise _Unknown("it normalises over the batch")
        weight, bias = a.get("weight"), a.get("bias")
        tensors = {"running_mean": a["running_mean"], "running_var": a["running_var"]}
        return self.add(
            "batchnorm", self._one(a), eps=float(a.get("eps", 1e-5)), **self._affine(weight, bias, tensors)
        )

    @staticmethod
    def _affine(weight: Any, bias: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        if weight is None and bias is None:
            return {"affine": False, "tensors": tensors}
        weight = torch.ones_like(bias) if weight is None else weight
        bias = torch.zeros_like(weight) if bias is None else bias
        return {"affine": True, "tensors": tensors | {"weight": weight, "bias": bias}}

    def _op_group_norm(self, args: Any, kwargs: Any, out: Any) -> str:
        a = _bind("input num_groups weight bias eps cudnn_enabled", args, kwargs)
        return self.add(
            "groupnorm", self._one(a), groups=int(a["num_groups"]), eps=float(a.get("eps", 1e-5)),
            **self._affine(a.get("weight"), a.get("bias"), {}),
        )

    def _op_layer_norm(self, args: Any, kwargs: Any, out: Any) -> str:
        a = _bind("input normalized_shape weight bias eps cudnn_enable", args, kwargs)
        if tuple(a["normalized_shape"]) != tuple(a["input"].shape[1:]):
            raise _Unknown(f"it normalises over {tuple(a['normalized_shape'])}, not over a whole sample")
        return self.add(
            "layernorm", self._one(a), eps=float(a.get("eps", 1e-5)),
            **self._affine(a.get("weight"), a.get("bias"), {}),
        )

    def _op_instance_norm(self, args: Any, kwargs: Any, out: Any) -> str:
        a = _bind(
            "input running_mean running_var weight bias use_input_stats momentum eps cudnn_enabled", args, kwargs
        )
        a.refuse("use_input_stats", True)
        return self.add(
            "instancenorm", self._map(a), eps=float(a.get("eps", 1e-5)),
            **self._affine(a.get("weight"), a.get("bias"), {}),
        )

    def _op_prelu(self, args: Any, kwargs: Any, out: Any) -> str:
        a = _bind("input weight", args, kwargs)
        return self.add("prelu", self._one(a), slopes=a["weight"].numel(), tensors={"weight": a["weight"].reshape(-1)})

    # --- activations -------------------------------------------------------------------------------

    def _plain(self, op: str, args: Any, kwargs: Any) -> str:
        return self.add(op, self._one(_bind("input inplace", args, kwargs)))

    def _op_relu(self, args: Any, kwargs: Any, out: Any) -> str:
        return self._plain("relu", args, kwargs)

    def _op_relu6(self, args: Any, kwargs: Any, out: Any) -> str:
        return self._plain("relu6", args, kwargs)

    def _op_silu(self, args: Any, kwargs: Any, out: Any) -> str:
        return self._plain("silu", args, kwargs)

    def _op_sigmoid(self, args: Any, kwargs: Any, out: Any) -> str:
        return self._plain("sigmoid", args, kwargs)

    def _op_tanh(self, args: Any, kwargs: Any, out: Any) -> str:
        return self._plain("tanh", args, kwargs)

    def _op_hardswish(self, args: Any, kwargs: Any, out: Any) -> str:
        return self._plain("hardswish", args, kwargs)

    def _op_hardtanh(self, args: Any, kwargs: Any, out: Any) -> str:
        a = _bind("input min_val max_val inplace", args, kwargs)
        a.refuse("min_val", -1.0, 0.0)
        if a.get("min_val", -1.0) != 0 or a.get("max_val", 1.0) != 6:
            raise _Unknown("hardtanh is known from 0 to 6 only (relu6)")
        return self.add("relu6", self._one(a))

    def _op_hardsigmoid(self, args: Any, kwargs: Any, out: Any) -> str:
        """relu6(x + 3) / 6."""
        a = _bind("input inplace", args, kwargs)
        channels = a["input"].shape[1]
        moved = self._normalise(self._one(a)[0], "sub", np.full(channels, -3, np.float32))
        return self._normalise(self.add("relu6", [moved]), "div", np.full(channels, 6, np.float32))

    def _op_leaky_relu(self, args: Any, kwargs: Any, out: Any) -> str:
        a = _bind("input negative_slope inplace", args, kwargs)
        return self.add("leaky_relu", self._one(a), slope=float(a.get("negative_slope", 0.01)))

    def _op_elu(self, args: Any, kwargs: Any, out: Any) -> str:
        a = _bind("input alpha inplace", args, kwargs)
        return self.add("elu", self._one(a), alpha=float(a.get("alpha", 1.0)))

    def _op_gelu(self, args: Any, kwargs: Any, out: Any) -> str:
        a = _bind("input approximate", args, kwargs)
        return self.add("gelu", self._one(a), approximate=a.get("approximate", "none"))

    def _op_softmax(self, args: Any, kwargs: Any, out: Any) -> str:
        a = _bind("input dim _stacklevel dtype", args, kwargs)
        if a.get("dim") not in (1, 1 - a["input"].dim()):
            raise _Unknown(f"softmax over dimension {a.get('dim')}; over channels (1) is known here")
        return self.add("softmax", self._one(a))

    def _op_neg(self, args: Any, kwargs: Any, out: Any) -> str:
        return self._arithmetic("mul", (args[0], -1.0), {})

    _op___neg__ = _op_neg

    # --- pools and joins ---------------------------------------------------------------------------

    def _op_max_pool2d(self, args: Any, kwargs: Any, out: Any) -> str:
        a = _bind("input kernel_size stride padding dilation ceil_mode return_indices", args, kwargs)
        a.refuse("return_indices", False)
        return self.add(
            "maxpool", self._map(a), kernel=_pair(a["kernel_size"]), padding=_pair(a.get("padding", 0)),
            stride=_pair(a.get("stride") or a["kernel_size"]), dilation=_pair(a.get("dilation", 1)),
            ceil_mode=bool(a.get("ceil_mode", False)),
        )

    def _op_avg_pool2d(self, args: Any, kwargs: Any, out: Any) -> str:
        a = _bind("input kernel_size stride padding ceil_mode count_include_pad divisor_override", args, kwargs)
        a.refuse("divisor_override", None)
        return self.add(
            "avgpool", self._map(a), kernel=_pair(a["kernel_size"]), padding=_pair(a.get("padding", 0)),
            stride=_pair(a.get("stride") or a["kernel_size"]), ceil_mode=bool(a.get("ceil_mode", False)),
            count_include_pad=bool(a.get("count_include_pad", True)),
        )

    def _adaptive(self, op: str, args: Any, kwargs: Any, out: Any) -> str:
        a = _bind("input output_size return_indices", args, kwargs)
        a.refuse("return_indices", False)
        layer = self._map(a)
        if op == "adaptive_avgpool" and tuple(out.shape[2:]) == (1, 1):
            return self.add("global_avg_pool", layer)
        return self.add(op, layer, output=_pair(out.shape[2:]))

    def _op_adaptive_avg_pool2d(self, args: Any, kwargs: Any, out: Any) -> str:
        return self._adaptive("adaptive_avgpool", args, kwargs, out)

    def _op_adaptive_max_pool2d(self, args: Any, kwargs: Any, out: Any) -> str:
        return self._adaptive("adaptive_maxpool", args, kwargs, out)

    def _op_mean(self, args: Any, kwargs: Any, out: Any) -> str:
        a = _bind("input dim keepdim dtype axis", args, kwargs)
        layer = self._map(a)
        dim = a.get("dim", a.get("axis"))
        if dim is None or isinstance(dim, int) or sorted(d % 4 for d in dim) != [2, 3]:
            raise _Unknown(f"mean over {dim}; over rows and columns together is known here")
        return self.add("global_avg_pool", layer)

    def _op_cat(self, args: Any, kwargs: Any, out: Any) -> str:
        a = _bind("tensors dim", args, kwargs)
        if a.get("dim", kwargs.get("axis", 0)) not in (1, 1 - out.dim()):
            raise _Unknown(f"cat along dimension {a.get('dim', 0)}; along channels (1) is known here")
        inputs = [self.layer_of(t) for t in a["tensors"]]
        if None in inputs:
            raise _Unknown("it joins a constant to the image's values")
        return inputs[0] if len(inputs) == 1 else self.add("concat", inputs)  # type: ignore[arg-type,return-value]

    _op_concat = _op_cat
    _op_concatenate = _op_cat


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
