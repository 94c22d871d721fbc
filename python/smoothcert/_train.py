"""train() and compare(): our own networks from images to a report."""

from __future__ import annotations

import json
import os
import sys
from typing import Any, Sequence

from . import _core
from ._certify import _keywords, _say
from ._errors import Interrupted, UsageError
from ._images import make_images, to_numpy
from ._progress import parts_of
from ._tools import Network


def _classes(labels: Any, classes: int | None) -> int:
    if classes is not None:
        return int(classes)
    array = to_numpy(labels)
    # Ten where nobody says more: what the built-in networks have.
    return max(10, int(array.max()) + 1) if array.size and array.dtype.kind in "iu" else 10


def _recipe(recipe: Any) -> tuple[str, str | None]:
    """(name or where, JSON): a built-in name, a JSON file or a dict as docs/recipes.md has them."""
    if isinstance(recipe, dict):
        return "recipe", json.dumps(recipe)
    name = os.fspath(recipe)
    if not name.endswith(".json"):
        return name, None
    with open(name, encoding="utf-8") as file:
        return name, file.read()


def train(
    recipe: str | os.PathLike[str] | dict[str, Any],
    images: Any,
    labels: Any,
    *,
    network: Any = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    sigma: float | None = None,
    lambda_: float | None = None,
    epsilon: float | None = None,
    train_images: int = 0,
    seed: int = 0,
    out: str | os.PathLike[str] | None = None,
    force: bool = False,
    device: str = "auto",
    threads: int = 0,
    classes: int | None = None,
    data_name: str = "images",
    round: bool = False,
    progress: Any = False,
    quiet: bool = False,
) -> Network:
    """Trains one of our networks from scratch, as ``smoothcert train`` does, bit for bit.

    recipe
        "normal", "adversarial", "smoothing", "adversarial-strong", "lenet-gaussian", "mnist-split",
        a JSON file, or a dict of its fields (docs/recipes.md).
    images, labels
        N×C×H×W uint8, or floats in [0, 1].
    network
        A built-in name, a JSON description, or a ``Network``, whose layers are taken and whose
        weights are not; the recipe's without it.
    epochs, batch_size, learning_rate, sigma, lambda_, epsilon
        In place of the recipe's.
    out
        Model file to write. A training that is interrupted keeps its last epoch beside it, and the
        same call goes on from there. A file that is there is replaced only with ``force=True``.
    progress
        True, or a callable of epoch, epochs, step, steps of an epoch, loss, accuracy.

    The result is a ``Network`` with ``history`` (loss and accuracy of every step, seconds of every
    epoch).
    """
    name, text = _recipe(recipe)
    if isinstance(network, Network):
        network, wanted = network.core, network.classes
    else:
        network, wanted = (None if network is None else os.fspath(network)), None
    file = None if out is None else os.fspath(out)
    if file is not None and not force and os.path.exists(file) and not os.path.exists(file + ".resume"):
        raise UsageError(f"train: {file} is there already; choose another name, or force=True replaces it")
    held = make_images(images, labels, _classes(labels, classes or wanted), name=data_name, round=round)
    changes = {
        "epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate, "sigma": sigma,
        "lambda_": lambda_, "epsilon": epsilon,
    }  # fmt: skip

    def words(epoch: int, epochs: int, step: int, steps: int, loss: float, accuracy: float) -> tuple[float, str]:
        share = (epoch + (step % max(1, steps) + 1) / max(1, steps)) / epochs
        return share, f"epoch {epoch + 1}/{epochs}, loss {loss:.3f}, accuracy {100 * accuracy:.1f} %"

    show, end = parts_of(progress, f"train {name}", words)
    try:
        core, history, lines = _core.train(
            held, name, text, changes, network, int(seed), int(train_images), file, device, int(threads), show
        )
    except KeyboardInterrupt:
        if file is None:
            kept = "nothing was kept; with out='model.safetensors' a training can be continued"
        elif os.path.exists(file + ".resume"):
            kept = f"the last finished epoch is kept in {file}.resume; the same call goes on from there"
        elif os.path.exists(file):
            kept = f"it was finished just then: {file}"
        else:
            kept = "the first epoch was not finished; the same call trains again"
        raise Interrupted(f"stopped; {kept}") from None
    finally:
        end()
    for line in lines:
        _say(line, quiet)
    return Network(core, device=device, threads=threads, history=history)


class Comparison(dict):
    """``summary.json`` of a comparison as a dict, with ``report``, the HTML file."""

    report: str

    def __repr__(self) -> str:
        return f"<smoothcert.Comparison: {self.report}>"


def compare(
    train_images: Any,
    train_labels: Any,
    test_images: Any,
    test_labels: Any,
    *,
    out: str | os.PathLike[str] = "smoothcert-report",
    recipes: Sequence[str] = ("normal", "adversarial", "smoothing"),
    network: str = "convnn",
    seed: int = 0,
    images: int | str = "auto",
    time_budget: float | None = None,
    attack_images: int = 0,
    first_train_images: int = 0,
    sigma: float = 1.0,
    n0: int = 1000,
    n: int = 10_000,
    alpha: float = 0.05,
    noise: str = "lattice",
    clamp: bool = True,
    mode: str = "exact",
    p_b: str = "complement",
    device: str = "auto",
    threads: int = 0,
    data_name: str = "images",
    round: bool = False,
    progress: Any = False,
    quiet: bool = False,
) -> Comparison:
    """Trains a model a recipe, attacks it, certifies the same test images with each and writes the
    report: ``smoothcert compare``. The same call goes on in the same folder.

    images
        Evenly spaced test images to certify: a number, "all", or "auto" (as many as ``time_budget``
        seconds allow, 300 without it).
    progress
        True, or a callable of activity, share in [0, 1], detail.
    """
    if images == "auto":
        chosen, budget = 0, 300.0 if time_budget is None else float(time_budget)
    elif time_budget is not None:
        raise UsageError("time_budget goes with images='auto'")
    elif images == "all":
        chosen, budget = 0, 0.0
    else:
        chosen, budget = int(images), 0.0
        if chosen <= 0:
            raise UsageError(f"images: {images} images leave nothing to certify")
    classes = max(_classes(train_labels, None), _classes(test_labels, None))
    held = [
        make_images(x, y, classes, name=data_name, round=round, split=split)
        for x, y, split in ((train_images, train_labels, "train"), (test_images, test_labels, "test"))
    ]
    options = {
        "out": os.fspath(out), "network": network, "recipes": list(recipes), "seed": int(seed),
        "train_images": int(first_train_images), "attack_images": int(attack_images), "images": chosen,
        "time_budget": budget, "command": f"smoothcert.compare(…, seed={seed}, sigma={sigma}, n={n}) in Python",
    }  # fmt: skip
    keywords = _keywords(
        sigma=sigma, n0=n0, n=n, alpha=alpha, seed=seed, noise=noise, clamp=clamp, mode=mode, p_b=p_b
    )
    show, end = parts_of(progress, "compare", lambda activity, share, detail: (share, f"{activity}: {detail}"))
    try:
        table = _core.compare(held[0], held[1], options, keywords, device, int(threads), show)
    except KeyboardInterrupt:
        raise Interrupted(
            f"stopped; what was finished is kept in {os.fspath(out)}; the same call goes on from there"
        ) from None
    finally:
        end()
    for line in table["notes"]:
        _say(line, quiet)
    comparison = Comparison(json.loads(table["summary"]))
    comparison.report = table["report"]
    return comparison
