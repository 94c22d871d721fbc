"""What certify() gives back: one row an image."""

from __future__ import annotations

import html
import math
import os
from typing import Any, Iterable, Iterator

import numpy as np

from . import _core
from ._errors import Error, UsageError


def _down(value: float, digits: int = 3) -> str:
    """Rounded down, as every radius is."""
    scale = 10**digits
    return f"{math.floor(value * scale) / scale:.{digits}f}"


class Results:
    """Certificates of a run. Arrays have one row an image, in the order of ``index``.

    ``index``, ``label``, ``prediction`` (−1: abstained), ``selected``, ``radius`` (in ``norm``, [0,1]
    pixel units, rounded down), ``p_lower``, ``counts0``/``counts`` (votes of selection and estimation),
    ``invalid0``/``invalid`` (samples without an answer), ``samples``, ``seconds``, ``stop``.
    """

    def __init__(self, table: dict[str, Any]):
        self._table = table
        self.index: np.ndarray = table["index"]
        self.label: np.ndarray = table["label"]
        self.prediction: np.ndarray = table["prediction"]
        self.selected: np.ndarray = table["selected"]
        self.radius: np.ndarray = table["radius"]
        self.p_lower: np.ndarray = table["p_lower"]
        self.counts0: np.ndarray = table["counts0"]
        self.counts: np.ndarray = table["counts"]
        self.invalid0: np.ndarray = table["invalid0"]
        self.invalid: np.ndarray = table["invalid"]
        self.seconds: np.ndarray = table["seconds"]
        self.stop: list[str] = list(table["stop"])
        self.settings: dict[str, Any] = table.get("settings", {})
        self.guarantee: str = table.get("guarantee", "")
        self.key: str = table.get("key", "")
        self.run: int = table.get("run", 0)
        self.store: str | None = table.get("store")
        self.resumed_images: int = table.get("resumed_images", 0)
        self.external: str = table.get("external", "")
        self.precision: str = table.get("precision", "")
        self.model_hash: str = table.get("model_hash", "")

    def __len__(self) -> int:
        return len(self.index)

    @property
    def samples(self) -> np.ndarray:
        """Samples that bound p_A: fewer than n where an image stopped early."""
        return self.counts.sum(axis=1) + self.invalid

    @property
    def norm(self) -> str:
        """Of the radii: "L1" of uniform and of splitting noise, otherwise "L2"."""
        return "L1" if self.settings.get("noise") in ("uniform", "split") else "L2"

    @property
    def _level(self) -> str:
        """What ``settings["sigma"]`` holds."""
        return "λ" if self.norm == "L1" else "σ"

    @property
    def correct(self) -> np.ndarray:
        return self.prediction == self.label

    @property
    def abstained(self) -> np.ndarray:
        return self.prediction < 0

    @property
    def acr(self) -> float:
        """Average certified radius: wrong answers and abstentions count as 0."""
        return float(np.where(self.correct, self.radius, 0.0).mean()) if len(self) else 0.0

    def certified_accuracy(self, radii: float | Iterable[float] = 0.0) -> Any:
        """Share of images that are right with at least this radius; an array for several radii."""
        points = np.atleast_1d(np.asarray(radii, float))
        if not len(self):
            shares = np.zeros(len(points))
        else:
            reached = self.radius[None, :] >= points[:, None]
            shares = (self.correct[None, :] & reached).mean(axis=1)
        return float(shares[0]) if np.ndim(radii) == 0 else shares

    def rows(self) -> Iterator[dict[str, Any]]:
        for i in range(len(self)):
            yield {
                "index": int(self.index[i]),
                "label": int(self.label[i]),
                "prediction": int(self.prediction[i]),
                "radius": float(self.radius[i]),
                "correct": bool(self.correct[i]),
                "p_lower": float(self.p_lower[i]),
                "samples": int(self.samples[i]),
                "seconds": float(self.seconds[i]),
                "stop": self.stop[i],
            }

    def to_pandas(self) -> Any:
        """A DataFrame, one row an image (pandas is imported here)."""
        import pandas

        frame = pandas.DataFrame(list(self.rows()))
        frame.attrs.update(self.settings, guarantee=self.guarantee)
        return frame

    def to_tsv(self, file: str | os.PathLike[str], *, compat: bool = False) -> None:
        """The field's file: idx, label, predict, radius, correct, time. Radii rounded down;
        ``compat`` for three significant digits."""
        _core.write_tsv(
            self.index.astype(np.uint64),
            self.label.astype(np.uint64),
            self.prediction,
            self.radius,
            self.seconds,
            os.fspath(file),
            compat,
        )

    def plot(self, ax: Any = None, **keywords: Any) -> Any:
        """Certified accuracy over the radius (matplotlib is imported here). Returns the axes."""
        from matplotlib import pyplot

        if ax is None:
            _, ax = pyplot.subplots()
        reach = float(self.radius.max()) if len(self) else 1.0
        edges = np.concatenate([[0.0], np.unique(self.radius[self.correct]), [reach * 1.05 + 1e-9]])
        ax.plot(edges, self.certified_accuracy(edges), drawstyle="steps-pre", **keywords)
        ax.set_xlabel(f"{self.norm} radius")
        ax.set_ylabel("certified accuracy")
        ax.set_ylim(0, 1)
        ax.set_xlim(left=0)
        if self.guarantee:
            ax.set_title(f"{self._level} = {self.settings.get('sigma')}, {self.guarantee}", fontsize="small")
        return ax

    def report(self, out: str | os.PathLike[str] | None = None) -> str:
        """Writes the HTML report of this result's store (all its runs) into the folder ``out`` and
        returns the page's path: what ``smoothcert report`` does."""
        import subprocess

        from .__main__ import program

        if self.store is None:
            raise UsageError("report: nothing was stored; certify(..., store='results.sqlite') first")
        folder = os.fspath(out) if out is not None else os.path.splitext(self.store)[0] + "-report"
        done = subprocess.run(
            [program(), "report", self.store, "--out", folder], capture_output=True, text=True
        )
        if done.returncode != 0:
            raise Error(done.stderr.strip().removeprefix("smoothcert: ") or "report: it failed")
        return os.path.join(folder, "report.html")

    def summary(self) -> dict[str, Any]:
        certified = ~self.abstained
        return {
            "images": len(self),
            "abstained": int(self.abstained.sum()),
            "wrong": int((certified & ~self.correct).sum()),
            "correct_certified": int(self.correct.sum()),
            "acr": self.acr,
            "guarantee": self.guarantee,
        }

    def __repr__(self) -> str:
        s = self.summary()
        return (
            f"<smoothcert.Results: {s['images']} images, {s['correct_certified']} right and "
            f"certified, {s['abstained']} abstained, ACR {_down(s['acr'])}, {self.guarantee}>"
        )

    def _curve_svg(self) -> str:
        """Certified accuracy as a small picture, without matplotlib."""
        width, height, left, bottom = 360, 180, 36, 24
        reach = max(float(self.radius.max()) if len(self) else 0.0, 1e-9) * 1.05
        radii = np.linspace(0, reach, 121)
        shares = self.certified_accuracy(radii)
        x = left + radii / reach * (width - left - 6)
        y = 6 + (1 - shares) * (height - bottom - 6)
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y))
        base = height - bottom
        return (
            f'<svg width="{width}" height="{height}" role="img" '
            f'aria-label="certified accuracy over radius" font-size="10" fill="currentColor">'
            f'<path d="M{left} 6V{base}H{width - 6}" fill="none" stroke="currentColor"/>'
            f'<polyline points="{points}" fill="none" stroke="#0072b2" stroke-width="2"/>'
            f'<text x="{left - 4}" y="12" text-anchor="end">1</text>'
            f'<text x="{left - 4}" y="{base}" text-anchor="end">0</text>'
            f'<text x="{width - 6}" y="{height - 6}" text-anchor="end">{self.norm} radius, to {_down(reach)}'
            "</text></svg>"
        )

    def _repr_html_(self) -> str:
        s = self.summary()
        cells = {
            "images": s["images"],
            "right and certified": s["correct_certified"],
            "wrong": s["wrong"],
            "abstained": s["abstained"],
            "ACR": _down(s["acr"], 4),
            self._level: self.settings.get("sigma", ""),
            "n": self.settings.get("n", ""),
            "α": self.settings.get("alpha", ""),
            "guarantee": self.guarantee,
        }
        rows = "".join(
            f"<tr><th style='text-align:left'>{html.escape(str(k))}</th>"
            f"<td style='text-align:left'>{html.escape(str(v))}</td></tr>"
            for k, v in cells.items()
        )
        return (
            "<div style='display:flex;gap:2em;align-items:center'>"
            f"<table>{rows}</table>{self._curve_svg()}</div>"
        )
