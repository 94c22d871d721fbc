"""Whatever classifies: an nn.Module, a callable, an ONNX Runtime session, or a file of ours."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import sys
from dataclasses import dataclass, field
from typing import Any, Callable

import numpy as np

from . import _core
from ._errors import Error, UsageError


@dataclass
class ExternalSpec:
    """A forward pass that is not ours, and what is recorded of it."""

    call: Callable[[np.ndarray], np.ndarray]  #: float32 tile in, array of answers out
    name: str
    identity: str  #: SHA-256 of the model, or of what the caller calls it
    precision: str  #: everything that may change a bit of an answer, on one line
    record: dict[str, Any] = field(default_factory=dict)
    classes: int | None = None
    labels: bool = False  #: answers are classes, not logits
    #: float32 images, labels and the loss's name in; (∂loss/∂images, logits) out
    gradient: Callable[[np.ndarray, np.ndarray, str], tuple[np.ndarray, np.ndarray]] | None = None


def _is_torch_module(model: Any) -> bool:
    torch = sys.modules.get("torch")  # a module of torch cannot exist without it
    return torch is not None and isinstance(model, torch.nn.Module)


def _is_onnx_session(model: Any) -> bool:
    return type(model).__name__ == "InferenceSession" and hasattr(model, "get_inputs")


def is_ours(model: Any) -> bool:
    """A model file, or a Network."""
    return isinstance(model, (str, os.PathLike)) or isinstance(getattr(model, "core", None), _core.Network)


def load_network(
    file: str | os.PathLike[str], network: str | os.PathLike[str] | None = None, data: str = ""
) -> "tuple[_core.Network, list[str]]":
    """A model file of ours, or a checkpoint of others, and what was decided about it."""
    return _core.Network.load(os.fspath(file), "" if network is None else os.fspath(network), data)


def network_of(model: Any, quiet: bool = True) -> "_core.Network":
    if not isinstance(model, (str, os.PathLike)):
        return model.core
    network, notes = load_network(model)
    if not quiet:
        for note in notes:
            print(f"smoothcert: {note}", file=sys.stderr)
    return network


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _answers(out: Any, rows: int) -> np.ndarray:
    """The callable's answers as numpy; clear words for everything that is none."""
    if isinstance(out, (tuple, list)) and len(out) == 1:
        out = out[0]
    if hasattr(out, "logits") and not isinstance(out, np.ndarray):  # HuggingFace's output classes
        out = out.logits
    if hasattr(out, "detach"):
        out = out.detach()
        if out.device.type != "cpu":
            out = out.cpu()
        if out.dtype.is_floating_point:
            out = out.float()
        out = out.numpy()
    if not isinstance(out, np.ndarray):
        try:
            out = np.asarray(out)
        except Exception as error:
            raise Error(f"the model answered with {type(out).__name__}, not an array") from error
    if out.dtype.kind not in "fiub" or out.dtype == np.bool_:
        raise Error(f"the model answered with {out.dtype}; logits or integer labels are needed")
    if out.ndim == 0 or out.shape[0] != rows or out.ndim > 2:
        raise Error(
            f"the model answered {rows} images with an array of shape {out.shape}; "
            f"({rows}, classes) logits or ({rows},) labels are needed"
        )
    if out.ndim == 1 and out.dtype.kind == "f":
        raise Error(
            f"the model answered with {rows} floats; logits are ({rows}, classes), labels integers"
        )
    return out


def numpy_answers(spec: ExternalSpec, tile: int) -> Callable[[np.ndarray], np.ndarray]:
    """What the extension calls: the forward pass, with its answers checked and contiguous."""
    call, classes, labels = spec.call, spec.classes, spec.labels
    kind = np.int64 if labels else np.float32
    shape = (tile,) if labels else (tile, classes)

    torch = sys.modules.get("torch")

    def answer(images: np.ndarray) -> np.ndarray:
        out = call(images)
        if torch is not None and type(out) is torch.Tensor and out.shape == shape:
            # What comes every time, without the questions that others are asked.
            if out.dtype is torch.float32 and out.device.type == "cpu" and out.is_contiguous() and not labels:
                return out.detach().numpy()
        out = _answers(out, tile)
        if out.shape != shape:
            raise Error(
                f"the model answered with shape {out.shape}, before it was {shape}; "
                "the number of classes must stay"
            )
        if labels and out.dtype.kind == "f":
            raise Error("the model answered with labels first, and with floats now")
        return np.ascontiguousarray(out, dtype=kind)

    return answer


# --- torch ---------------------------------------------------------------------------------------


def torch_identity(module: Any) -> str:
    """SHA-256 over class name, and names, shapes, dtypes and bytes of parameters and buffers."""
    import torch

    digest = hashlib.sha256()

    def add(text: str) -> None:
        digest.update(text.encode() + b"\0")

    add(f"{type(module).__module__}.{type(module).__qualname__}")
    if isinstance(module, torch.jit.ScriptModule):
        add(module.original_name)
    tensors = list(module.named_parameters()) + list(module.named_buffers())
    if not tensors:
        raise UsageError(
            f"{type(module).__name__} shows no parameters and no buffers (a frozen module of torch.jit keeps "
            "them inside), so that nothing says which model it is: give model_id='...', a text that names the "
            "model and its weights"
        )
    for kind, tensors in (("p", module.named_parameters()), ("b", module.named_buffers())):
        for name, tensor in sorted(tensors, key=lambda item: item[0]):
            tensor = tensor.detach()
            add(f"{kind} {name} {tuple(tensor.shape)} {tensor.dtype}")
            flat = tensor.contiguous().cpu().reshape(-1).view(torch.uint8)
            digest.update(flat.numpy().tobytes())
    return digest.hexdigest()


def require_eval(model: Any) -> None:
    """Of modules of torch; other callables do not say."""
    if not _is_torch_module(model):
        return
    # A frozen module of torch.jit has no such attribute: it is in evaluation mode for good.
    training = [
        n or type(model).__name__ for n, m in model.named_modules() if getattr(m, "training", False)
    ]
    if training:
        raise UsageError(
            f"the model is in training mode ({training[0]}); call model.eval() first: batch "
            "statistics and dropout would make a sample's answer depend on others"
        )


def torch_spec(
    module: Any,
    *,
    device: str | None,
    autocast: Any,
    name: str | None,
    model_id: str | None,
    channels_last: bool = False,
) -> ExternalSpec:
    import torch

    require_eval(module)
    tensors = list(module.parameters()) + list(module.buffers())
    floats = [t for t in tensors if t.is_floating_point()]
    places = {str(t.device) for t in tensors}
    if len(places) > 1 and device is None:
        raise UsageError(f"the model lies on several devices ({', '.join(sorted(places))})")
    where = torch.device(device) if device else (tensors[0].device if tensors else torch.device("cpu"))
    if device and tensors and any(t.device != where and t.device.type != where.type for t in tensors):
        raise UsageError(
            f"the model lies on {tensors[0].device}, device={device!r} was asked for; "
            f"move it with model.to({device!r})"
        )
    dtype = floats[0].dtype if floats else torch.float32
    if autocast is True:
        autocast = torch.bfloat16 if where.type == "cpu" else torch.float16
    device_name = torch.cuda.get_device_name(where) if where.type == "cuda" else platform.machine()

    def ambient() -> bool:
        """Whether the caller's code has autocast on."""
        if where.type not in ("cpu", "cuda"):
            return False
        if by_device:
            return torch.is_autocast_enabled(where.type)
        return torch.is_autocast_cpu_enabled() if where.type == "cpu" else torch.is_autocast_enabled()

    try:  # torch 2.4
        torch.is_autocast_enabled("cpu")
        by_device = True
    except TypeError:
        by_device = False

    def on() -> Any:
        return torch.cuda.device(where) if where.type == "cuda" else contextlib.nullcontext()

    @torch.inference_mode()
    def call(images: np.ndarray) -> Any:
        x = torch.from_numpy(images)
        if where.type != "cpu" or dtype != torch.float32:
            x = x.to(device=where, dtype=dtype)
        if channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        if autocast:
            with on(), torch.autocast(where.type, dtype=autocast):
                return module(x)
        if ambient():
            with on(), torch.autocast(where.type, enabled=False):  # the caller's own is not recorded
                return module(x)
        with on():
            return module(x)

    def gradient(images: np.ndarray, labels: np.ndarray, loss: str) -> tuple[np.ndarray, np.ndarray]:
        x = torch.from_numpy(images).to(device=where, dtype=dtype).requires_grad_(True)
        y = torch.from_numpy(labels).to(where)
        with torch.enable_grad():
            out = module(x)
            logits = (out.logits if hasattr(out, "logits") else out).float()
            if loss == "cross_entropy":
                total = torch.nn.functional.cross_entropy(logits, y, reduction="sum")
            else:  # margin: the largest other logit − the true one
                others = logits.scatter(1, y[:, None], float("-inf")).max(1).values
                total = (others - logits.gather(1, y[:, None])[:, 0]).sum()
            (slope,) = torch.autograd.grad(total, x)
        return tuple(  # type: ignore[return-value]
            np.ascontiguousarray(v.detach().float().cpu().numpy()) for v in (slope, logits)
        )

    record = {
        "framework": "torch",
        "version": torch.__version__,
        "class": f"{type(module).__module__}.{type(module).__qualname__}",
        "device": f"{where} ({device_name})",
        "dtype": str(dtype).replace("torch.", ""),
        "autocast": str(autocast).replace("torch.", "") if autocast else "off",
        "channels_last": channels_last,
        "tf32": bool(where.type == "cuda" and torch.backends.cuda.matmul.allow_tf32),
        "cudnn_tf32": bool(where.type == "cuda" and torch.backends.cudnn.allow_tf32),
        "cudnn_benchmark": bool(where.type == "cuda" and torch.backends.cudnn.benchmark),
        "deterministic": bool(torch.are_deterministic_algorithms_enabled()),
        "threads": torch.get_num_threads() if where.type == "cpu" else 0,
    }
    precision = (
        f"torch {record['version']} {where.type} {device_name} {record['dtype']}"
        f" autocast={record['autocast']} tf32={int(record['tf32'])}{int(record['cudnn_tf32'])}"
        + (" channels_last" if channels_last else "")
    )
    return ExternalSpec(
        call=call,
        name=name or type(module).__name__,
        identity=_sha256(model_id) if model_id else torch_identity(module),
        precision=precision,
        record=record,
        gradient=gradient,
    )


# --- ONNX Runtime --------------------------------------------------------------------------------


def onnx_spec(session: Any, *, name: str | None, model_id: str | None) -> ExternalSpec:
    import onnxruntime

    inputs = session.get_inputs()
    if len(inputs) != 1:
        raise UsageError(f"the ONNX model has {len(inputs)} inputs; one is needed: N×C×H×W images")
    dtypes = {
        "tensor(float)": np.float32,
        "tensor(float16)": np.float16,
        "tensor(double)": np.float64,
    }
    if inputs[0].type not in dtypes:
        raise UsageError(f"the ONNX model takes {inputs[0].type}; floats are needed")
    dtype = dtypes[inputs[0].type]
    input_name, output_name = inputs[0].name, session.get_outputs()[0].name
    path = getattr(session, "_model_path", None)
    content = getattr(session, "_model_bytes", None)
    if model_id:
        identity = _sha256(model_id)
    elif content:
        identity = hashlib.sha256(content).hexdigest()
    elif path:
        with open(path, "rb") as file:
            identity = hashlib.sha256(file.read()).hexdigest()
    else:
        raise UsageError("the session does not say which model it holds; give model_id='...'")
    providers = session.get_providers()

    def call(images: np.ndarray) -> Any:
        return session.run([output_name], {input_name: images.astype(dtype, copy=False)})[0]

    record = {
        "framework": "onnxruntime",
        "version": onnxruntime.__version__,
        "providers": providers,
        "device": onnxruntime.get_device(),
        "dtype": np.dtype(dtype).name,
    }
    return ExternalSpec(
        call=call,
        name=name or (os.path.splitext(os.path.basename(path))[0] if path else "onnx"),
        identity=identity,
        precision=f"onnxruntime {record['version']} {providers[0]} {record['dtype']}",
        record=record,
    )


# --- anything callable ---------------------------------------------------------------------------


def callable_spec(
    model: Callable[[np.ndarray], Any], *, name: str | None, model_id: str | None
) -> ExternalSpec:
    if not model_id:
        raise UsageError(
            "a bare callable has no identity of its own: give model_id='...', a text that names the "
            "model and its weights; results of equal model_id are continued as one run"
        )
    record = {
        "framework": "callable",
        "version": f"numpy {np.__version__}",
        "device": platform.machine(),
        "dtype": "float32",
    }
    jax = sys.modules.get("jax")
    if jax is not None and type(model).__module__.startswith("jax"):
        record |= {"framework": "jax", "version": jax.__version__, "device": jax.default_backend()}
    return ExternalSpec(
        call=model,
        name=name or getattr(model, "__name__", type(model).__name__),
        identity=_sha256(model_id),
        precision=f"{record['framework']} {record['device']} {record['dtype']}",
        record=record | {"model_id": model_id},
    )


def external_spec(
    model: Any,
    *,
    device: str | None = None,
    autocast: Any = None,
    name: str | None = None,
    model_id: str | None = None,
    channels_last: bool = False,
) -> ExternalSpec:
    if _is_torch_module(model):
        return torch_spec(
            model,
            device=device,
            autocast=autocast,
            name=name,
            model_id=model_id,
            channels_last=channels_last,
        )
    if autocast:
        raise UsageError("autocast is for modules of torch; a callable can enter it by itself")
    if channels_last:
        raise UsageError("channels_last is for modules of torch")
    if _is_onnx_session(model):
        return onnx_spec(model, name=name, model_id=model_id)
    if callable(model):
        return callable_spec(model, name=name, model_id=model_id)
    raise UsageError(
        f"model: {type(model).__name__} is no model; a torch nn.Module, an ONNX Runtime session, a "
        "callable, or a model file of smoothcert is needed"
    )


def default_tile(shape: tuple[int, int, int]) -> int:
    """Rows of a forward pass: about 3 MiB of float32, 8 to 256."""
    pixels = shape[0] * shape[1] * shape[2]
    tile = 256
    while tile > 8 and tile * pixels > 1 << 20:
        tile //= 2
    return tile


def external_model(
    spec: ExternalSpec,
    shape: tuple[int, int, int],
    *,
    tile: int | None,
    classes: int | None,
    allow_batch_dependence: bool = False,
    threads: int = 0,
    gradients: bool = False,
) -> "_core.CallableModel":
    tile = default_tile(shape) if tile is None else int(tile)
    if tile < 1:
        raise UsageError(f"batch: {tile}; at least 1 is needed")
    # One pass over nothing in particular says what the answers look like.
    first = _answers(spec.call(np.full((tile, *shape), 0.5, np.float32)), tile)
    spec.labels = first.ndim == 1
    if spec.labels:
        if classes is None:
            raise UsageError("the model answers with labels: say how many there are (classes=...)")
        spec.classes = int(classes)
    else:
        spec.classes = int(first.shape[1])
        if classes is not None and classes != spec.classes:
            raise UsageError(f"classes={classes}, but the model answers with {spec.classes} logits")
    precision = f"{spec.precision} tile={tile}"
    record = spec.record | {
        "answers": "labels" if spec.labels else "logits",
        "python": platform.python_version(),
    }
    return _core.CallableModel(
        name=spec.name,
        shape=list(shape),
        classes=spec.classes,
        tile=tile,
        hash=spec.identity,
        precision=precision,
        record=json.dumps(record),
        labels=spec.labels,
        allow_batch_dependence=allow_batch_dependence,
        threads=threads,
        callable=numpy_answers(spec, tile),
        gradient=spec.gradient if gradients else None,
    )
