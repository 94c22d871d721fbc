"""Certified robustness of any image classifier by randomized smoothing.

>>> import smoothcert as sc
>>> results = sc.certify(model, images, labels, sigma=0.5, store="results.sqlite")
>>> results.radius, results.prediction, results.acr
"""

from ._art import ArtSmoothing
from ._attack import Attacks, attack, disprove
from ._certify import Estimate, Predictions, certify, estimate, predict
from ._core import arithmetic
from ._core import version as __version__
from ._errors import Error, Interrupted, UsageError
from ._results import Results
from ._smooth import Smooth
from ._tools import Network, Store, certificate, clopper_pearson_lower, from_torch, merge, noise, radius
from ._train import Comparison, compare, train

__all__ = [
    "ArtSmoothing",
    "Attacks",
    "Comparison",
    "Error",
    "Estimate",
    "Interrupted",
    "Network",
    "Predictions",
    "Results",
    "Smooth",
    "Store",
    "UsageError",
    "__version__",
    "arithmetic",
    "attack",
    "certificate",
    "certify",
    "clopper_pearson_lower",
    "compare",
    "disprove",
    "estimate",
    "from_torch",
    "merge",
    "noise",
    "predict",
    "radius",
    "train",
]
