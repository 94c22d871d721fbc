"""The field's class: one changed import line."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._certify import certify, predict
from ._errors import UsageError
from ._models import is_ours


class Smooth:
    """``Smooth(base_classifier, num_classes, sigma)`` as in Cohen et al.'s code, on our noise.

    ``certify(x, n0, n, alpha, batch_size)`` returns (class, radius), ``predict(x, n, alpha,
    batch_size)`` a class; −1 abstains. x is one image, C×H×W in [0, 1] (floats are put on the
    multiples of 1/255). Every call draws noise of its own: its number goes into the upper half of
    the seed. ``seed`` (below 2³²) and the order of the calls repeat it.
    """

    ABSTAIN = -1

    def __init__(
        self,
        base_classifier: Any,
        num_classes: int,
        sigma: float,
        *,
        seed: int = 0,
        model_id: str | None = None,
        **keywords: Any,
    ):
        self.base_classifier = base_classifier
        self.num_classes = num_classes
        self.sigma = sigma
        self._seed = seed
        self._keywords = {"quiet": True, "round": True, "noise": "lattice"} | keywords
        self._model_id = model_id
        self._calls = 0

    def _one(self, x: Any) -> Any:
        if len(x.shape) == 4 and x.shape[0] == 1:
            x = x[0]
        if len(x.shape) != 3:
            raise UsageError(f"Smooth: an image of shape {tuple(x.shape)}; C×H×W is needed")
        return x[None]

    def _arguments(self, batch_size: int) -> dict[str, Any]:
        self._calls += 1
        # The number of the call takes the place of the image's index in the counters: it becomes
        # part of the seed's upper half, which no index reaches.
        seed = (self._seed + ((self._calls - 1) << 32)) % (1 << 64)
        ours = is_ours(self.base_classifier)
        return {
            "sigma": self.sigma,
            "batch": None if ours else batch_size,
            "seed": seed,
            "model_id": self._model_id,
        } | self._keywords

    def certify(self, x: Any, n0: int, n: int, alpha: float, batch_size: int) -> tuple[int, float]:
        arguments = self._arguments(batch_size)
        if not is_ours(self.base_classifier) and arguments["model_id"] is None:
            arguments["model_id"] = "Smooth"  # nothing is stored
        results = certify(
            self.base_classifier, self._one(x), np.zeros(1, np.int64), n0=n0, n=n, alpha=alpha, **arguments
        )
        if int(results.prediction[0]) < 0:
            return Smooth.ABSTAIN, 0.0
        return int(results.prediction[0]), float(results.radius[0])

    def predict(self, x: Any, n: int, alpha: float, batch_size: int) -> int:
        arguments = self._arguments(batch_size)
        return int(
            predict(self.base_classifier, self._one(x), n=n, alpha=alpha, **arguments).prediction[0]
        )
