"""attack() and disprove(): what is known about a model from above."""

from __future__ import annotations

import os
from typing import Any, Iterable, Sequence

import numpy as np

from . import _core
from ._certify import _indices, _Prepared, _say
from ._errors import Interrupted, UsageError
from ._progress import parts_of


class Attacks:
    """Accuracy under attacks.

    clean_accuracy
        Without an attack.
    attacks
        One dict an attack: ``attack``, ``epsilon``, ``steps``, ``accuracy_worst`` (right under both
        losses: the figure to quote), ``accuracy_cross_entropy``, ``accuracy_margin``,
        ``zero_gradient``, ``nan_gradient``, ``seconds``.
    adversarial
        With ``examples=True``: images of the cross-entropy attack by its name, float32 in [0, 1].
    """

    def __init__(self, table: dict[str, Any]):
        self.clean_accuracy: float = table["clean_accuracy"]
        self.images: int = table["images"]
        self.attacks: list[dict[str, Any]] = table["attacks"]
        self.adversarial: dict[str, np.ndarray] = table["adversarial"]

    def __getitem__(self, name: str) -> dict[str, Any]:
        for attack in self.attacks:
            if attack["attack"] == name:
                return attack
        raise KeyError(name)

    def to_pandas(self) -> Any:
        import pandas

        return pandas.DataFrame(self.attacks)

    def __repr__(self) -> str:
        worst = ", ".join(f"{a['attack']} {100 * a['accuracy_worst']:.2f} %" for a in self.attacks)
        return f"<smoothcert.Attacks on {self.images} images: none {100 * self.clean_accuracy:.2f} %, {worst}>"


def _differentiable(
    model: Any, images: Any, labels: Any, *, what: str, model_id: str | None, batch: int | None, **more: Any
) -> _Prepared:
    prepared = _Prepared(
        model, images, labels, batch=batch, model_id=model_id, autocast=None, channels_last=False,
        allow_batch_dependence=False, mode=None, gradients=True, **more,
    )  # fmt: skip
    if not prepared.gradients:
        raise UsageError(
            f"{what}: {type(model).__name__} has no gradients; a torch nn.Module or a network of ours is needed"
        )
    return prepared


def attack(
    model: Any,
    images: Any,
    labels: Any,
    *,
    attack: str | Sequence[str] | None = None,
    epsilon: float | None = None,
    steps: int | None = None,
    step_size: float | None = None,
    restarts: int | None = None,
    random_start: bool = False,
    seed: int = 0,
    indices: Iterable[int] | None = None,
    examples: bool = False,
    batch: int | None = None,
    device: str | None = None,
    threads: int = 0,
    round: bool = False,
    progress: Any = False,
    quiet: bool = False,
) -> Attacks:
    """Accuracy of the base classifier, without noise, under gradient attacks: ``smoothcert attack``.

    model
        A network of ours (file or ``Network``), or a torch module in evaluation mode.
    attack
        "l1", "l1-steepest", "l2", "linf", "pgd-l2", "pgd-linf", or several; all of them without it.
    epsilon
        Size in [0,1] pixels; the study's for each norm without it.
    steps, step_size, restarts, random_start
        Of PGD. Step size 2.5·ε/steps without it; of several restarts the strongest counts.
    progress
        True, or a callable of activity, images done, images in all (each attack counts them again).
    """
    names = _core.attack_names() if attack is None else [attack] if isinstance(attack, str) else list(attack)
    of_pgd = [k for k, v in (("steps", steps), ("step_size", step_size), ("restarts", restarts)) if v is not None]
    of_pgd += ["random_start"] if random_start else []
    if of_pgd and not any(name.startswith("pgd") for name in names):
        raise UsageError(f"attack: {', '.join(of_pgd)}: of pgd-l2 and pgd-linf; these attacks take one step")
    prepared = _differentiable(
        model, images, labels, what="attack", round=round, data_name="images", batch=batch, classes=None,
        model_id="attack" if callable(model) else None, name=None, device=device, threads=threads, clamp=False,
        quiet=quiet,
    )  # fmt: skip
    keywords = [
        {
            "attack": name, "epsilon": epsilon, "steps": steps, "step_size": step_size, "restarts": restarts,
            "random_start": random_start, "seed": int(seed),
        }
        for name in names
    ]  # fmt: skip
    show, end = parts_of(progress, "attack", lambda what, done, total: (done / total, what))
    chosen = _indices(indices, len(prepared.images))
    try:
        return Attacks(_core.attack(prepared.model, prepared.images, chosen, keywords, examples, show))
    except KeyboardInterrupt:
        raise Interrupted("attack stopped") from None
    finally:
        end()


def disprove(
    model: Any,
    images: Any,
    labels: Any,
    *,
    store: str | os.PathLike[str],
    max: int = 0,
    noises: int = 64,
    steps: int = 20,
    bisections: int = 6,
    alpha: float = 0.001,
    samples: int = 10_000,
    batch: int | None = None,
    model_id: str | None = None,
    name: str | None = None,
    data_name: str = "images",
    device: str | None = None,
    threads: int = 0,
    round: bool = False,
    progress: Any = False,
    quiet: bool = False,
) -> list[dict[str, Any]]:
    """Points close to certified images that the smoothed classifier answers otherwise: radii from
    above, as ``smoothcert disprove`` finds them. One dict for each L2 run in ``store`` of this model
    and these images (``batch`` as in the run): ``index``, ``radius``, ``distance``, ``confirmed``,
    ``rival``, ``images`` (the points, uint8) and more, one row a test. Tests that the store holds are
    not made again. Where none was found nothing is proved.

    max
        Only so many certified images of each run, spread evenly; 0 takes all.
    noises, steps, bisections
        Of the search: draws over which the attack's loss is the mean, steps at one radius, halvings.
    alpha, samples
        Of the test at the point that was found.
    """
    prepared = _differentiable(
        model, images, labels, what="disprove", round=round, data_name=data_name, batch=batch, classes=None,
        model_id=model_id, name=name, device=device, threads=threads, clamp=False, quiet=quiet,
    )  # fmt: skip
    keywords = {
        "alpha": float(alpha), "samples": int(samples), "noises": int(noises), "steps": int(steps),
        "bisections": int(bisections),
    }  # fmt: skip
    show, end = parts_of(progress, "disprove", lambda what, done, total: (done / total, f"{what}, {done}/{total}"))
    try:
        table = _core.disprove(prepared.model, prepared.images, os.fspath(store), keywords, int(max), show)
    except KeyboardInterrupt:
        raise Interrupted(f"stopped; tests that were made are kept in {os.fspath(store)}") from None
    finally:
        end()
    for line in table["notes"]:
        _say(line, quiet)
    for run in table["runs"]:
        run["confirmed"] = run["confirmed"].astype(bool)
    return table["runs"]
