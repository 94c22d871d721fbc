"""certify(), predict() and estimate(): any classifier, our noise, our votes."""

from __future__ import annotations

import os
import sys
from typing import Any, Iterable, Sequence

import numpy as np

from . import _core
from ._errors import Interrupted, UsageError
from ._images import make_images, pixel_array
from ._models import external_model, external_spec, is_ours, network_of
from ._progress import progress_of
from ._results import Results
from ._shards import shard_file, shard_of


def _say(line: str, quiet: bool) -> None:
    if not quiet and line:
        print(f"smoothcert: {line}", file=sys.stderr)


def _share(value: Any) -> Any:
    """0.05 or "5%"."""
    if isinstance(value, str):
        try:
            return float(value[:-1]) / 100 if value.endswith("%") else float(value)
        except ValueError:
            raise UsageError(f"stop_within: {value!r} is no share; 0.05 or '5%'") from None
    return value


def _keywords(
    *, sigma: float, n0: int, n: int, alpha: float, seed: int, noise: str, clamp: bool, mode: str,
    p_b: str, stop_within: Any = None, stop_at: float | None = None,
) -> dict[str, Any]:
    for name, value in (("n0", n0), ("n", n), ("seed", seed)):
        if not isinstance(value, (int, np.integer)) and value != int(value):
            raise UsageError(f"{name}: {value!r} is no whole number")
        if value < 0:
            raise UsageError(f"{name}: {value} is negative")
    return {
        "sigma": float(sigma),
        "n0": int(n0),
        "n": int(n),
        "alpha": float(alpha),
        "seed": int(seed),
        "noise": noise,
        "clamp": bool(clamp),
        "mode": mode,
        "p_b": p_b,
        "stop_within": None if stop_within is None else float(_share(stop_within)),
        "stop_at": None if stop_at is None else float(stop_at),
    }


class _Prepared:
    """A model with its images, whichever kind it is."""

    def __init__(
        self,
        model: Any,
        images: Any,
        labels: Any,
        *,
        round: bool,
        data_name: str,
        batch: int | None,
        classes: int | None,
        model_id: str | None,
        name: str | None,
        device: str | None,
        threads: int,
        autocast: Any,
        channels_last: bool,
        allow_batch_dependence: bool,
        mode: str | None,
        clamp: bool | None,
        quiet: bool,
        gradients: bool = False,
    ):
        self.gradients = True
        if is_ours(model):
            if batch is not None or autocast or allow_batch_dependence or channels_last:
                raise UsageError(
                    "batch, autocast, channels_last and allow_batch_dependence are for models "
                    "outside smoothcert; a network of ours needs none of them"
                )
            network = network_of(model, quiet)
            self.model = _core.NativeModel(network, device or "auto", threads)
            self.classes = network.classes
            if classes not in (None, self.classes):
                raise UsageError(f"classes={classes}, but the network has {self.classes}")
            is_file = isinstance(model, (str, os.PathLike))
            self.name = name or (
                os.path.splitext(os.path.basename(os.fspath(model)))[0] if is_file else network.name
            )
            self.mode = mode or "exact"
            self.clamp = network.clamp if clamp is None else clamp
            _say(self.model.note, quiet)
            self.images = make_images(images, labels, self.classes, name=data_name, round=round)
            return
        if mode not in (None, "external"):
            raise UsageError(f"mode: a model outside smoothcert runs as 'external', not {mode!r}")
        pixels, _ = pixel_array(images, round=round)
        spec = external_spec(
            model,
            device=device,
            autocast=autocast,
            name=name,
            model_id=model_id,
            channels_last=channels_last,
        )
        self.model = external_model(
            spec,
            pixels.shape[1:],
            tile=batch,
            classes=classes,
            allow_batch_dependence=allow_batch_dependence,
            threads=threads,
            gradients=gradients,
        )
        self.gradients = spec.gradient is not None
        self.classes = spec.classes
        self.name = spec.name
        self.mode = "external"
        self.clamp = bool(clamp)
        if clamp is None:
            _say("noisy pixels are not clamped to [0,1] (clamp=True does that)", quiet)
        self.images = make_images(images, labels, self.classes, name=data_name, round=round)


def _indices(indices: Iterable[int] | None, count: int) -> list[int]:
    if indices is None:
        return list(range(count))
    chosen = [int(i) for i in indices]
    for i in chosen:
        if not 0 <= i < count:
            raise UsageError(f"indices: image {i} of {count}")
    return chosen


def _note(error: BaseException, line: str) -> None:
    if hasattr(error, "add_note"):  # Python 3.11
        error.add_note(f"smoothcert: {line}")


def certify(
    model: Any,
    images: Any,
    labels: Any,
    *,
    sigma: float,
    n0: int = 100,
    n: int = 100_000,
    alpha: float = 0.001,
    store: str | os.PathLike[str] | None = None,
    progress: Any = False,
    noise: str = "lattice",
    clamp: bool | None = None,
    seed: int = 0,
    mode: str | None = None,
    p_b: str = "complement",
    stop_within: float | str | None = None,
    stop_at: float | None = None,
    indices: Iterable[int] | None = None,
    shard: str | tuple[int, int] | None = None,
    batch: int | None = None,
    classes: int | None = None,
    model_id: str | None = None,
    name: str | None = None,
    data_name: str = "images",
    device: str | None = None,
    threads: int = 0,
    round: bool = False,
    autocast: Any = None,
    channels_last: bool = False,
    allow_batch_dependence: bool = False,
    quiet: bool = False,
) -> Results:
    """Certified radii of the smoothed classifier, in L2 (Cohen, Rosenfeld, Kolter 2019).

    With ``noise="uniform"`` or ``"split"`` they are in L1, and ``sigma`` takes λ; "split" evaluates all
    its 510·λ splits, whatever n0, n and alpha say, and its certificates are exact.

    model
        A ``torch.nn.Module`` in evaluation mode, an ONNX Runtime session, any callable that takes
        float32 N×C×H×W (numpy) and returns N×K logits or N integer labels (with ``classes=``), or a
        model file or ``Network`` of smoothcert.
    images, labels
        N×C×H×W uint8, or floats in [0, 1] on the multiples of 1/255 (others: ``round=True``).
        Normalisation belongs into the model.
    sigma, n0, n, alpha
        σ of the noise in [0,1] pixels; samples that select the class and that bound its
        probability; the share of certificates that may be false.
    store
        A results store (SQLite file). Run again with the same arguments, what it holds is not drawn
        again: kill it whenever you like. With ``shard=`` each part has a file of its own
        ("x.2-of-4.sqlite"), which ``merge`` puts together.
    stop_within, stop_at
        Fewer samples: an image stops when its radius is within this share ("5%") of what n samples
        promise, or when it is known whether it reaches this radius. Bounds hold at any n.
    shard
        "i/N", or "auto" for torchrun and Slurm.
    batch
        Rows of every call of the model. Part of what identifies a run: answers may differ in their
        last bits from one batch size to another.
    """
    prepared = _Prepared(
        model, images, labels, round=round, data_name=data_name, batch=batch, classes=classes,
        model_id=model_id, name=name, device=device, threads=threads, autocast=autocast,
        channels_last=channels_last, allow_batch_dependence=allow_batch_dependence, mode=mode,
        clamp=clamp, quiet=quiet,
    )
    keywords = _keywords(
        sigma=sigma, n0=n0, n=n, alpha=alpha, seed=seed, noise=noise, clamp=prepared.clamp,
        mode=prepared.mode, p_b=p_b, stop_within=stop_within, stop_at=stop_at,
    )
    everything = _indices(indices, len(prepared.images))
    part, parts = shard_of(shard)
    ours = _core.shard_indices(everything, part, parts) if parts > 1 else everything
    if parts > 1 and store is None:
        raise UsageError("shard: parts are put together from their stores; give store='...'")
    file = None if store is None else shard_file(os.fspath(store), part, parts)
    show, end = progress_of(progress, "certify")
    try:
        table = _core.certify(
            prepared.model, prepared.images, prepared.name, ours, everything, keywords, file, show
        )
    except BaseException as error:
        kept = (
            f"what was finished is kept in {file}; the same call goes on from there"
            if file
            else "nothing was stored; with store='results.sqlite' a run can be continued"
        )
        if isinstance(error, KeyboardInterrupt):
            raise Interrupted(f"stopped; {kept}") from None
        _note(error, kept)
        raise
    finally:
        end()
    _say(table["resumed_line"], quiet)
    table["store"] = file
    return Results(table)


class Predictions:
    """What predict() gives back: ``prediction`` (−1: abstained), ``p_value``, ``counts``,
    ``invalid``, ``index``, one row an image."""

    def __init__(self, table: dict[str, Any]):
        self.index: np.ndarray = table["index"]
        self.prediction: np.ndarray = table["prediction"]
        self.p_value: np.ndarray = table["p_value"]
        self.counts: np.ndarray = table["counts"]
        self.invalid: np.ndarray = table["invalid"]

    def __len__(self) -> int:
        return len(self.index)


def predict(
    model: Any,
    images: Any,
    *,
    sigma: float,
    n: int = 1000,
    alpha: float = 0.001,
    progress: Any = False,
    noise: str = "lattice",
    clamp: bool | None = None,
    seed: int = 0,
    mode: str | None = None,
    indices: Sequence[int] | None = None,
    batch: int | None = None,
    classes: int | None = None,
    model_id: str | None = None,
    device: str | None = None,
    threads: int = 0,
    round: bool = False,
    autocast: Any = None,
    channels_last: bool = False,
    allow_batch_dependence: bool = False,
    quiet: bool = False,
) -> Predictions:
    """PREDICT of Cohen et al.: the smoothed classifier's answer, wrong about which class wins with
    probability at most alpha, or −1."""
    prepared = _Prepared(
        model, images, None, round=round, data_name="images", batch=batch, classes=classes,
        model_id=model_id or ("predict" if callable(model) and not is_ours(model) else None),
        name=None, device=device, threads=threads, autocast=autocast, channels_last=channels_last,
        allow_batch_dependence=allow_batch_dependence, mode=mode, clamp=clamp, quiet=quiet,
    )
    keywords = _keywords(
        sigma=sigma, n0=1, n=n, alpha=alpha, seed=seed, noise=noise, clamp=prepared.clamp,
        mode=prepared.mode, p_b="complement",
    )
    show, end = progress_of(progress, "predict")
    try:
        return Predictions(
            _core.predict(
                prepared.model, prepared.images, _indices(indices, len(prepared.images)), keywords, show
            )
        )
    finally:
        end()


class Estimate(dict):
    """Seconds and memory that a run will take: a dict with words."""

    def __repr__(self) -> str:
        seconds = self["seconds"]
        hours, rest = divmod(int(seconds + 0.5), 3600)
        return (
            f"<about {hours}:{rest // 60:02}:{rest % 60:02} for {self['images']} images "
            f"({self['samples']:,} samples, {self['samples_per_second']:,.0f} a second), "
            f"noise {100 * self['noise_share']:.0f} % of it>"
        )


def estimate(
    model: Any,
    images: Any,
    *,
    sigma: float,
    n0: int = 100,
    n: int = 100_000,
    noise: str = "lattice",
    clamp: bool | None = None,
    batch: int | None = None,
    classes: int | None = None,
    device: str | None = None,
    threads: int = 0,
    round: bool = False,
    autocast: Any = None,
    channels_last: bool = False,
    parts: int = 1,
    quiet: bool = True,
) -> Estimate:
    """What certifying these images with this (external) model will take, from a few tiles."""
    prepared = _Prepared(
        model, images, None, round=round, data_name="images", batch=batch, classes=classes,
        model_id="estimate" if callable(model) and not is_ours(model) else None, name=None,
        device=device, threads=threads, autocast=autocast, channels_last=channels_last,
        allow_batch_dependence=True, mode=None, clamp=clamp, quiet=quiet,
    )
    keywords = _keywords(
        sigma=sigma, n0=n0, n=n, alpha=0.001, seed=0, noise=noise, clamp=prepared.clamp,
        mode=prepared.mode, p_b="complement",
    )
    pace = _core.pace(prepared.model, prepared.images, 0, keywords)
    shape = pixel_array(images, round=round)[0].shape
    tile = prepared.model.tile
    per_tile = pace["seconds_per_tile"] + pace["noise_seconds_per_tile"]
    samples = -(-len(prepared.images) // parts) * (n0 + n)
    return Estimate(
        images=len(prepared.images),
        samples=samples,
        seconds=samples / tile * per_tile,
        samples_per_second=tile / per_tile,
        noise_share=pace["noise_seconds_per_tile"] / per_tile,
        tile=tile,
        tile_bytes=4 * tile * int(np.prod(shape[1:])),
        batch_dependent=pace["batch_dependent"],
        position_dependent=pace["position_dependent"],
    )
