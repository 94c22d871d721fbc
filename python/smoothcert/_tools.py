"""Small tools that need no model: votes in, certificates out; noise; stores."""

from __future__ import annotations

import os
import sys
from typing import Any, Sequence

import numpy as np

from . import _core
from ._errors import UsageError
from ._images import pixel_array
from ._models import load_network
from ._results import Results


def _counts(values: Any, what: str) -> np.ndarray:
    array = np.asarray(values)
    if array.dtype.kind not in "iu" or (array.dtype.kind == "i" and array.size and array.min() < 0):
        raise UsageError(f"{what}: counts are integers from 0; these are {array.dtype}")
    return array


def _flat(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values.reshape(-1), dtype=np.uint64)


def clopper_pearson_lower(k: Any, n: int, alpha: float, *, slack: float = 0.0) -> Any:
    """One-sided lower bound of a share at level alpha, rounded down; for one count or an array."""
    counts = _counts(k, "k")
    bounds = _core.clopper_pearson_lower(_flat(counts), int(n), float(alpha), float(slack))
    return float(bounds[0]) if counts.ndim == 0 else bounds.reshape(counts.shape)


def radius(counts: Any, n: int, alpha: float, sigma: float, *, slack: float = 0.0) -> Any:
    """Certified L2 radius for ``counts`` votes of n for the selected class: σΦ⁻¹(p̲), rounded down,
    0 where nothing is certified. The class must have been selected on other samples."""
    votes = _counts(counts, "counts")
    radii = _core.radius(_flat(votes), int(n), float(alpha), float(sigma), float(slack))
    return float(radii[0]) if votes.ndim == 0 else radii.reshape(votes.shape)


def certificate(
    counts0: Any,
    counts: Any,
    *,
    sigma: float,
    alpha: float = 0.001,
    labels: Any = None,
    invalid0: Any = None,
    invalid: Any = None,
    p_b: str = "complement",
    slack: float = 0.0,
    n_max: int = 0,
) -> Results:
    """Votes in, certificates out: ``counts0`` (selection) and ``counts`` (estimation) are K votes,
    or M×K of M images. ``invalid`` are samples without an answer. ``n_max``: counts that were
    stopped early, of at most so many samples, get a bound that holds at any n."""
    first, second = (np.atleast_2d(_counts(c, w)) for c, w in ((counts0, "counts0"), (counts, "counts")))
    images = len(second)

    def column(values: Any, what: str) -> np.ndarray:
        if values is None:
            return np.zeros(images, np.uint64)
        return _flat(np.atleast_1d(_counts(values, what)))

    table = _core.certificates_from_counts(
        np.ascontiguousarray(first, dtype=np.uint64),
        np.ascontiguousarray(second, dtype=np.uint64),
        column(invalid0, "invalid0"),
        column(invalid, "invalid"),
        column(labels, "labels"),
        float(sigma),
        float(alpha),
        p_b,
        float(slack),
        int(n_max),
    )
    table["settings"] = {"sigma": float(sigma), "alpha": float(alpha), "p_b": p_b}
    table["guarantee"] = "as the votes were drawn"
    return Results(table)


def noise(
    image: Any,
    sigma: float,
    samples: int,
    *,
    index: int = 0,
    first: int = 0,
    seed: int = 0,
    noise: str = "lattice",
    clamp: bool = True,
    purpose: str = "estimate",
    threads: int = 0,
    round: bool = False,
) -> np.ndarray:
    """What a network sees: samples first, first + 1, … of one image (C×H×W), float32, bit for bit
    as in a run with this seed where the image has this index."""
    pixels, _ = pixel_array(np.asarray(image)[None], round=round)
    for what, value in (("samples", samples), ("first", first), ("index", index), ("seed", seed)):
        if value < 0:
            raise UsageError(f"{what}: {value} is negative")
    return _core.noise(
        pixels[0], int(index), float(sigma), int(samples), int(first), int(seed), noise, bool(clamp),
        purpose, int(threads),
    )


class Store:
    """A results store, read without SQL. Also a context manager."""

    def __init__(self, file: str | os.PathLike[str]):
        self.file = os.fspath(file)
        self._store = _core.Store(self.file, True)

    def runs(self) -> list[dict[str, Any]]:
        """One dict a run: its settings, model, data and guarantee."""
        return self._store.runs()

    def results(self, run: int | None = None) -> Results:
        """The certificates of a run; of the only one where there is one."""
        runs = self.runs()
        if run is None:
            if len(runs) != 1:
                raise UsageError(f"{self.file} holds {len(runs)} runs; say which (run=…, see runs())")
            run = runs[0]["run"]
        held = [r for r in runs if r["run"] == run]
        table = self._store.certificates(run)
        keys = ("sigma", "n0", "n", "alpha", "seed", "noise", "clamp", "mode", "p_b")
        table.update(
            {name: held[0][name] for name in ("guarantee", "key", "run", "external", "precision", "model_hash")},
            settings={name: held[0][name] for name in keys},
            store=self.file,
        )
        return Results(table)

    def to_pandas(self) -> Any:
        """All certificates of all runs, with the run's number (pandas is imported here)."""
        import pandas

        frames = [self.results(r["run"]).to_pandas().assign(run=r["run"]) for r in self.runs()]
        return pandas.concat(frames, ignore_index=True) if frames else pandas.DataFrame()

    def close(self) -> None:
        self._store.close()

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<smoothcert.Store {self.file}>"


def merge(
    out: str | os.PathLike[str],
    inputs: Sequence[str | os.PathLike[str]],
    *,
    allow_gaps: bool = False,
    allow_overlaps: bool = False,
) -> dict[str, int]:
    """Puts the stores of several shards together into a new one, and says what is in it."""
    return _core.merge(os.fspath(out), [os.fspath(i) for i in inputs], allow_gaps, allow_overlaps)


class Network:
    """A network of smoothcert's own: loaded from its file, initialised by name, made of a module of
    torch (``from_torch``) or trained (``train``).

    notes
        What was decided in reading a checkpoint, line by line.
    history
        After ``train``: ``step_loss``, ``step_accuracy``, ``epoch_seconds``.
    """

    def __init__(
        self,
        core: "_core.Network",
        *,
        device: str = "auto",
        threads: int = 0,
        notes: Sequence[str] = (),
        history: dict[str, np.ndarray] | None = None,
    ):
        self._core = core
        self._device, self._threads = device, threads
        self._model: Any = None
        self.notes = list(notes)
        self.history = history

    @staticmethod
    def load(
        file: str | os.PathLike[str],
        *,
        network: str | os.PathLike[str] | None = None,
        data: str = "",
        device: str = "auto",
        threads: int = 0,
    ) -> "Network":
        """A model file of smoothcert, or with ``network`` (a built-in name or a JSON description) a
        PyTorch checkpoint or plain safetensors file. ``data`` ("cifar10") says which normalisation
        is meant where the checkpoint has one and does not say."""
        core, notes = load_network(file, network, data)
        return Network(core, device=device, threads=threads, notes=notes)

    @staticmethod
    def initialise(name: str, seed: int = 0, **keywords: Any) -> "Network":
        """Of a built-in description ("convnn", "lenet", …), with random weights."""
        return Network(_core.Network.initialise(name, seed), **keywords)

    def save(self, file: str | os.PathLike[str]) -> None:
        self._core.save(os.fspath(file))

    def forward(self, images: Any) -> np.ndarray:
        """Logits of float N×C×H×W images, by the exact plan."""
        array = np.ascontiguousarray(np.asarray(images), dtype=np.float32)
        if array.ndim != 4 or array.shape[1:] != self.shape:
            raise UsageError(f"forward: shape {array.shape}; N×{'×'.join(map(str, self.shape))} is needed")
        if self._model is None:
            self._model = _core.NativeModel(self._core, self._device, self._threads)
        return _core.forward(self._model, array)

    __call__ = forward

    @property
    def core(self) -> "_core.Network":
        return self._core

    @property
    def shape(self) -> tuple[int, int, int]:
        return tuple(self._core.shape)

    @property
    def classes(self) -> int:
        return self._core.classes

    @property
    def name(self) -> str:
        return self._core.name

    @property
    def hash(self) -> str:
        return self._core.hash

    @property
    def description(self) -> str:
        """The layers, as JSON (docs/network-format.md)."""
        return self._core.description

    def tensors(self) -> dict[str, np.ndarray]:
        return self._core.tensors()

    def __repr__(self) -> str:
        return f"<smoothcert.Network {self.name}, {self.shape}, {self.classes} classes>"


def from_torch(
    module: Any,
    example: Any,
    *,
    name: str | None = None,
    clamp: bool | None = None,
    device: str = "auto",
    threads: int = 0,
) -> Network:
    """A module of torch (1.13 or newer, float32, in evaluation mode) as a network of ours, which is
    certified in exact arithmetic ("sound as executed"), on any device, without Python.

    example
        An image or a batch (C×H×W or N×C×H×W, numpy or torch), or just the shape (C, H, W). The
        module is run on it once and every layer is looked up; then logits of other inputs are
        compared (within 1e-3 of the largest).
    clamp
        Whether noisy pixels were clamped in training, to be kept in the file; not known without it.

    Raises UsageError naming the first layer that has no counterpart here; ``sc.certify(module, …)``
    works all the same.
    """
    if "torch" not in sys.modules:
        raise UsageError(f"from_torch: {type(module).__name__} is no nn.Module")
    try:
        from ._from_torch import network_from_torch
    except ImportError as error:
        raise UsageError(f"from_torch needs torch 1.13 or newer ({error})") from error
    core = network_from_torch(module, example, name=name, clamp=clamp)
    return Network(core, device=device, threads=threads)
