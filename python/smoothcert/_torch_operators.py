"""What each function of torch becomes: a layer of ours, or the reason why there is none.

A mixin of the recorder in _from_torch.py, which calls _op_NAME for torch's function NAME.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch


ROWS = 3  #: of the example: a batch's extent should not look like a channel


class Unknown(Exception):
    """What a layer does that has no counterpart here."""


class Arguments(dict):
    """Arguments of a call by name."""

    def refuse(self, name: str, *allowed: Any) -> None:
        value = self.get(name, allowed[0])
        if value not in allowed:
            raise Unknown(f"{name}={value!r} has no counterpart here")


def bind(names: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
    listed = names.split()
    bound = Arguments(zip(listed, args))
    if len(args) > len(listed):
        raise Unknown("it is called with more arguments than are known here")
    for key, value in kwargs.items():
        if key not in listed:
            raise Unknown(f"its argument {key} is not known here")
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


#: Functions of one input and nothing else, which have the same name here.
PLAIN = {"relu", "relu6", "silu", "sigmoid", "tanh", "hardswish"}


class Operators:
    """Uses the recorder's layer_of, add, constant and shape."""

    shape: tuple[int, ...]
    _layer_of: dict[int, str]  # by a tensor's id

    def layer_of(self, value: Any) -> str | None:
        raise NotImplementedError

    def add(self, op: str, inputs: list[str], **fields: Any) -> str:
        raise NotImplementedError

    def constant(self, value: Any, what: str) -> np.ndarray:
        raise NotImplementedError

    def _one(self, a: Arguments) -> list[str]:
        layer = self.layer_of(a["input"])
        if layer is None:
            raise Unknown("a layer is applied to a constant, with weights that depend on the image")
        return [layer]

    def _map(self, a: Arguments) -> list[str]:
        """The input of a layer that works on N×C×H×W."""
        if a["input"].dim() != 4:
            raise Unknown(f"it works on {a['input'].dim()} dimensions; N×C×H×W is known here")
        return self._one(a)

    def _view(self, before: torch.Tensor, out: torch.Tensor) -> str:
        layer = self._layer_of[id(before)]
        if out.shape == before.shape:
            return layer
        if out.shape[0] != ROWS or out.dim() not in (2, 4):
            raise Unknown(f"it makes {tuple(before.shape)} into {tuple(out.shape)}")
        if out.numel() != before.numel():
            raise Unknown(f"it makes {tuple(before.shape)} into {tuple(out.shape)}")
        if before.dim() == 2 and out.shape[1:] == (*before.shape[1:], 1, 1):
            return layer  # the same here: a vector is m × 1 × 1
        if before.dim() == 4 and before.shape[2:] == (1, 1) and out.dim() == 2:
            return layer
        if out.dim() == 2:
            return self.add("flatten", [layer])
        return self.add("reshape", [layer], shape=list(out.shape[1:]))

    def _property(self, before: torch.Tensor, out: torch.Tensor) -> str:
        if out.shape != before.shape or out.stride() != before.stride():
            raise Unknown("it moves axes")
        return self._layer_of[id(before)]

    def _arithmetic(self, op: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        a = bind("input other alpha rounding_mode out", args, kwargs)
        a.refuse("alpha", 1)
        a.refuse("rounding_mode", None)
        a.refuse("out", None)
        first, second = a["input"], a["other"]
        if op == "rsub":
            op, first, second = "sub", second, first
        left, right = self.layer_of(first), self.layer_of(second)
        dims = {v.dim() for v, layer in ((first, left), (second, right)) if layer is not None}
        if len(dims) > 1:
            raise Unknown("it joins a vector and a map")
        if left is not None and right is not None:
            if op == "div":
                raise Unknown("it divides by a value that depends on the image")
            return self.add(op, [left, right])
        value = second if left is not None else first
        variable = first if left is not None else second
        number = np.float32(value) if not isinstance(value, torch.Tensor) else self.constant(value, "constant")
        shape = self._constant_shape(number.shape, variable.dim())
        layer = left if left is not None else right
        if op == "div" and right is not None:
            raise Unknown("it divides by a value that depends on the image")
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
            raise Unknown(f"its constant of shape {tuple(shape)} is not one for all images")
        return padded[1:] + (1,) * (4 - dims)  # type: ignore[return-value]

    def _normalise(self, layer: str, op: str, values: np.ndarray) -> str:
        """(x − mean) / std, which is one layer here."""
        numbers = [float(v) for v in values]
        if op == "sub":
            return self.add("normalize", [layer], mean=numbers, std=[1.0] * len(numbers))
        return self.add("normalize", [layer], mean=[0.0] * len(numbers), std=numbers)

    # --- layers with parameters --------------------------------------------------------------------

    def _op_conv2d(self, args: Any, kwargs: Any, out: Any) -> str:
        a = bind("input weight bias stride padding dilation groups", args, kwargs)
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
        a = bind("input weight bias", args, kwargs)
        if a["input"].dim() != 2:
            raise Unknown(f"it works on {a['input'].dim()} dimensions; N×features is known here")
        bias = a.get("bias")
        tensors = {"weight": a["weight"]} | ({} if bias is None else {"bias": bias})
        return self.add(
            "linear", self._one(a), out_features=a["weight"].shape[0], bias=bias is not None, tensors=tensors
        )

    def _op_batch_norm(self, args: Any, kwargs: Any, out: Any) -> str:
        names = "input running_mean running_var weight bias training momentum eps"
        # The function of torch.nn.functional; torch.batch_norm has another order.
        if len(args) > 1 and (args[1] is None or args[1] is kwargs.get("weight")):
            raise Unknown("it normalises over the batch")
        a = bind(names, args, kwargs)
        if a.get("running_mean") is None or a.get("training"):
            raise Unknown("it normalises over the batch")
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
        a = bind("input num_groups weight bias eps cudnn_enabled", args, kwargs)
        return self.add(
            "groupnorm", self._one(a), groups=int(a["num_groups"]), eps=float(a.get("eps", 1e-5)),
            **self._affine(a.get("weight"), a.get("bias"), {}),
        )

    def _op_layer_norm(self, args: Any, kwargs: Any, out: Any) -> str:
        a = bind("input normalized_shape weight bias eps cudnn_enable", args, kwargs)
        if tuple(a["normalized_shape"]) != tuple(a["input"].shape[1:]):
            raise Unknown(f"it normalises over {tuple(a['normalized_shape'])}, not over a whole sample")
        return self.add(
            "layernorm", self._one(a), eps=float(a.get("eps", 1e-5)),
            **self._affine(a.get("weight"), a.get("bias"), {}),
        )

    def _op_instance_norm(self, args: Any, kwargs: Any, out: Any) -> str:
        a = bind(
            "input running_mean running_var weight bias use_input_stats momentum eps cudnn_enabled", args, kwargs
        )
        a.refuse("use_input_stats", True)
        return self.add(
            "instancenorm", self._map(a), eps=float(a.get("eps", 1e-5)),
            **self._affine(a.get("weight"), a.get("bias"), {}),
        )

    def _op_prelu(self, args: Any, kwargs: Any, out: Any) -> str:
        a = bind("input weight", args, kwargs)
        return self.add("prelu", self._one(a), slopes=a["weight"].numel(), tensors={"weight": a["weight"].reshape(-1)})

    # --- activations -------------------------------------------------------------------------------

    def plain(self, op: str, args: Any, kwargs: Any) -> str:
        return self.add(op, self._one(bind("input inplace", args, kwargs)))

    def _op_hardtanh(self, args: Any, kwargs: Any, out: Any) -> str:
        a = bind("input min_val max_val inplace", args, kwargs)
        a.refuse("min_val", -1.0, 0.0)
        if a.get("min_val", -1.0) != 0 or a.get("max_val", 1.0) != 6:
            raise Unknown("hardtanh is known from 0 to 6 only (relu6)")
        return self.add("relu6", self._one(a))

    def _op_hardsigmoid(self, args: Any, kwargs: Any, out: Any) -> str:
        """relu6(x + 3) / 6."""
        a = bind("input inplace", args, kwargs)
        channels = a["input"].shape[1]
        moved = self._normalise(self._one(a)[0], "sub", np.full(channels, -3, np.float32))
        return self._normalise(self.add("relu6", [moved]), "div", np.full(channels, 6, np.float32))

    def _op_leaky_relu(self, args: Any, kwargs: Any, out: Any) -> str:
        a = bind("input negative_slope inplace", args, kwargs)
        return self.add("leaky_relu", self._one(a), slope=float(a.get("negative_slope", 0.01)))

    def _op_elu(self, args: Any, kwargs: Any, out: Any) -> str:
        a = bind("input alpha inplace", args, kwargs)
        return self.add("elu", self._one(a), alpha=float(a.get("alpha", 1.0)))

    def _op_gelu(self, args: Any, kwargs: Any, out: Any) -> str:
        a = bind("input approximate", args, kwargs)
        return self.add("gelu", self._one(a), approximate=a.get("approximate", "none"))

    def _op_softmax(self, args: Any, kwargs: Any, out: Any) -> str:
        a = bind("input dim _stacklevel dtype", args, kwargs)
        if a.get("dim") not in (1, 1 - a["input"].dim()):
            raise Unknown(f"softmax over dimension {a.get('dim')}; over channels (1) is known here")
        return self.add("softmax", self._one(a))

    def _op_neg(self, args: Any, kwargs: Any, out: Any) -> str:
        return self._arithmetic("mul", (args[0], -1.0), {})

    _op___neg__ = _op_neg

    # --- pools and joins ---------------------------------------------------------------------------

    def _op_max_pool2d(self, args: Any, kwargs: Any, out: Any) -> str:
        a = bind("input kernel_size stride padding dilation ceil_mode return_indices", args, kwargs)
        a.refuse("return_indices", False)
        return self.add(
            "maxpool", self._map(a), kernel=_pair(a["kernel_size"]), padding=_pair(a.get("padding", 0)),
            stride=_pair(a.get("stride") or a["kernel_size"]), dilation=_pair(a.get("dilation", 1)),
            ceil_mode=bool(a.get("ceil_mode", False)),
        )

    def _op_avg_pool2d(self, args: Any, kwargs: Any, out: Any) -> str:
        a = bind("input kernel_size stride padding ceil_mode count_include_pad divisor_override", args, kwargs)
        a.refuse("divisor_override", None)
        return self.add(
            "avgpool", self._map(a), kernel=_pair(a["kernel_size"]), padding=_pair(a.get("padding", 0)),
            stride=_pair(a.get("stride") or a["kernel_size"]), ceil_mode=bool(a.get("ceil_mode", False)),
            count_include_pad=bool(a.get("count_include_pad", True)),
        )

    def _adaptive(self, op: str, args: Any, kwargs: Any, out: Any) -> str:
        a = bind("input output_size return_indices", args, kwargs)
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
        a = bind("input dim keepdim dtype axis", args, kwargs)
        layer = self._map(a)
        dim = a.get("dim", a.get("axis"))
        if dim is None or isinstance(dim, int) or sorted(d % 4 for d in dim) != [2, 3]:
            raise Unknown(f"mean over {dim}; over rows and columns together is known here")
        return self.add("global_avg_pool", layer)

    def _op_cat(self, args: Any, kwargs: Any, out: Any) -> str:
        a = bind("tensors dim", args, kwargs)
        if a.get("dim", kwargs.get("axis", 0)) not in (1, 1 - out.dim()):
            raise Unknown(f"cat along dimension {a.get('dim', 0)}; along channels (1) is known here")
        inputs = [self.layer_of(t) for t in a["tensors"]]
        if None in inputs:
            raise Unknown("it joins a constant to the image's values")
        return inputs[0] if len(inputs) == 1 else self.add("concat", inputs)  # type: ignore[arg-type,return-value]

    _op_concat = _op_cat
    _op_concatenate = _op_cat
