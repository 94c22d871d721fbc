"""The field's class: one changed import line."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _core
from ._certify import _keywords, _Prepared
from ._errors import UsageError
from ._images import make_images, to_numpy
from ._models import is_ours, require_eval


class Smooth:
    """``Smooth(base_classifier, num_classes, sigma)`` as in Cohen et al.'s code, on our noise.

    ``certify(x, n0, n, alpha, batch_size)`` returns (class, radius), ``predict(x, n, alpha,
    batch_size)`` a class; −1 abstains. x is one image, C×H×W in [0, 1] (floats are put on the
    multiples of 1/255). Every call draws noise of its own: its number, from 0, is the image's index
    in the noise's counters, so that ``seed`` and the order of the calls repeat it. Whether rows are
    independent is checked at the first call; a module that has changed since needs a new ``Smooth``.

    Keywords are those of ``certify``: noise, clamp, mode, p_b, stop_within, stop_at, device, threads,
    autocast, channels_last, allow_batch_dependence, round.
    """

    ABSTAIN = -1

    def __init__(
        self,
        base_classifier: Any,
        num_classes: int,
        sigma: float,
        *,
        seed: int = 0,
        noise: str = "lattice",
        clamp: bool | None = None,
        mode: str | None = None,
        p_b: str = "complement",
        stop_within: float | str | None = None,
        stop_at: float | None = None,
        round: bool = True,
        **keywords: Any,
    ):
        self.base_classifier = base_classifier
        self.num_classes = num_classes
        self.sigma = sigma
        self._settings = {"seed": seed, "noise": noise, "p_b": p_b}
        self._stopping = {"stop_within": stop_within, "stop_at": stop_at}
        self._model = {
            "device": None, "threads": 0, "autocast": None, "channels_last": False,
            "allow_batch_dependence": False,
        } | keywords  # fmt: skip
        self._mode, self._clamp, self._round = mode, clamp, round
        self._prepared: dict[tuple[Any, ...], _Prepared] = {}
        self._calls = 0

    def _ready(self, x: Any, batch_size: int | None) -> tuple[_Prepared, Any]:
        """The model, prepared once for each batch size and shape, and the image."""
        if len(x.shape) == 4 and x.shape[0] == 1:
            x = x[0]
        if len(x.shape) != 3:
            raise UsageError(f"Smooth: an image of shape {tuple(x.shape)}; C×H×W is needed")
        require_eval(self.base_classifier)
        image = to_numpy(x)[None]
        key = (batch_size, tuple(image.shape))
        if key not in self._prepared:
            ours = is_ours(self.base_classifier)
            self._prepared[key] = _Prepared(
                self.base_classifier, image, None, round=self._round, data_name="images",
                batch=None if ours else batch_size, classes=None if ours else self.num_classes,
                model_id=None if ours else "Smooth", name=None, mode=self._mode, clamp=self._clamp, quiet=True,
                **self._model,
            )  # fmt: skip
            if self._prepared[key].classes != self.num_classes:
                raise UsageError(
                    f"Smooth: num_classes={self.num_classes}, but the network has {self._prepared[key].classes}"
                )
        prepared = self._prepared[key]
        return prepared, make_images(image, None, prepared.classes, round=self._round)

    def _number(self) -> int:
        number, self._calls = self._calls, self._calls + 1
        return number

    def certify(self, x: Any, n0: int, n: int, alpha: float, batch_size: int) -> tuple[int, float]:
        prepared, images = self._ready(x, batch_size)
        keywords = _keywords(
            sigma=self.sigma, n0=n0, n=n, alpha=alpha, clamp=prepared.clamp, mode=prepared.mode,
            **self._settings, **self._stopping,
        )  # fmt: skip
        table = _core.certify(
            prepared.model, images, prepared.name, [0], [0], keywords, None, None, self._number()
        )
        if int(table["prediction"][0]) < 0:
            return Smooth.ABSTAIN, 0.0
        return int(table["prediction"][0]), float(table["radius"][0])

    def predict(self, x: Any, n: int, alpha: float, batch_size: int) -> int:
        prepared, images = self._ready(x, batch_size)
        keywords = _keywords(
            sigma=self.sigma, n0=1, n=n, alpha=alpha, clamp=prepared.clamp, mode=prepared.mode, **self._settings
        )
        table = _core.predict(prepared.model, images, [0], keywords, None, self._number())
        return int(table["prediction"][0])
