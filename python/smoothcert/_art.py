"""The estimator interface of the Adversarial Robustness Toolbox's randomized smoothing."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._errors import UsageError
from ._smooth import Smooth


class ArtSmoothing:
    """What ART's ``…RandomizedSmoothing`` estimators offer, around any classifier, without ART: code
    that calls ``predict``, ``certify``, ``input_shape``, ``nb_classes`` … finds the same here.

    scale, sample_size, alpha
        ART's names of σ, of the samples that select a class (and that ``predict`` draws), and of the
        share of certificates that may be false.
    seed
        Of the noise. The n-th image that this object is given has index n, so that the order of the
        calls repeats it.

    Other keywords are those of ``Smooth``. x is N×C×H×W in [0, 1]; it is put on the multiples of 1/255.
    """

    channels_first = True
    clip_values = (np.float32(0), np.float32(1))
    preprocessing = None
    preprocessing_defences = None
    postprocessing_defences = None
    estimator_params = ["sample_size", "scale", "alpha"]

    def __init__(
        self,
        model: Any,
        *,
        input_shape: tuple[int, ...],
        nb_classes: int,
        scale: float = 0.1,
        sample_size: int = 32,
        alpha: float = 0.001,
        seed: int = 0,
        **keywords: Any,
    ):
        self.model = model
        self.input_shape = tuple(input_shape)
        self.nb_classes = nb_classes
        self.sample_size, self.scale, self.alpha = sample_size, scale, alpha
        self._smooth = Smooth(model, nb_classes, scale, seed=seed, **keywords)

    def _images(self, x: Any) -> np.ndarray:
        images = np.asarray(x)
        if images.ndim != 1 + len(self.input_shape) or images.shape[1:] != self.input_shape:
            raise UsageError(
                f"x: shape {images.shape}; N×{'×'.join(map(str, self.input_shape))} is needed"
            )
        return images

    def predict(
        self, x: Any, batch_size: int = 128, verbose: bool = False, is_abstain: bool = True, **_: Any
    ) -> np.ndarray:
        """N×nb_classes, 1 at the smoothed classifier's class; zeros where it abstains. ART's
        ``is_abstain=False``, an answer without a test, is not offered."""
        if not is_abstain:
            raise UsageError("predict: an answer that may be any class (is_abstain=False) is not offered")
        out = np.zeros((len(x), self.nb_classes), np.float32)
        for row, image in zip(out, self._images(x)):
            answer = self._smooth.predict(image, self.sample_size, self.alpha, batch_size)
            if answer >= 0:
                row[answer] = 1
        return out

    def certify(self, x: Any, n: int, batch_size: int = 32) -> tuple[np.ndarray, np.ndarray]:
        """(classes, L2 radii); class −1 with radius 0 where it abstains."""
        answers = [
            self._smooth.certify(image, self.sample_size, n, self.alpha, batch_size) for image in self._images(x)
        ]
        return np.array([a[0] for a in answers]), np.array([a[1] for a in answers])

    def fit(self, *_: Any, **__: Any) -> None:
        raise UsageError("fit: train the model itself, or with sc.train('smoothing', …)")
