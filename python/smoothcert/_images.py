"""Images and labels, as people have them, into what the library takes: uint8, N×C×H×W."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _core
from ._errors import UsageError


def to_numpy(array: Any) -> np.ndarray:
    """numpy, torch (any device) or anything numpy can read."""
    if hasattr(array, "detach") and hasattr(array, "cpu"):
        array = array.detach().cpu()
    return np.asarray(array)


def pixel_array(images: Any, *, round: bool = False) -> tuple[np.ndarray, bool]:
    """Images N×C×H×W as uint8, and whether floats had to be rounded to n/255.

    Lattice noise is sound for images on the lattice of n/255. Floats in [0, 1] that lie on it (to
    float32 precision) are taken as they are; others only with ``round=True``, which is recorded.
    """
    array = to_numpy(images)
    if array.ndim == 3:
        array = array[:, None]
    if array.ndim != 4:
        raise UsageError(f"images: {array.ndim} dimensions; N×C×H×W are needed")
    if array.shape[3] in (1, 3, 4) and array.shape[1] not in (1, 3, 4):
        raise UsageError(
            f"images: shape {array.shape} looks like N×H×W×C; N×C×H×W is needed "
            "(images.transpose(0, 3, 1, 2))"
        )
    if array.size == 0:
        raise UsageError("images: there are none")
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array), False
    if array.dtype.kind != "f" and array.dtype.name != "bfloat16":
        raise UsageError(f"images: {array.dtype}; uint8, or floats in [0, 1], are needed")
    values = array.astype(np.float64)
    if not np.isfinite(values).all():
        raise UsageError("images: some values are NaN or infinite")
    low, high = values.min(), values.max()
    if low < 0 or high > 1:
        raise UsageError(
            f"images: floats from {low:.4g} to {high:.4g}; they must lie in [0, 1]. Normalisation "
            "belongs into the model, behind the noise"
        )
    nearest = np.rint(values * 255)
    # What is left of n/255 in the floats as they came: half a unit in the last place, and a little.
    off = np.abs(values * 255 - nearest).max()
    tolerance = 255 * float(np.finfo(array.dtype).eps) if array.dtype.kind == "f" else 1.0
    rounded = bool(off > tolerance)
    if rounded and not round:
        raise UsageError(
            f"images: some values lie between the multiples of 1/255 (by up to {off / 255:.2g}); "
            "lattice noise is sound for images on them. round=True puts them there, and is recorded"
        )
    return np.ascontiguousarray(nearest.astype(np.uint8)), rounded


def label_array(labels: Any, count: int) -> np.ndarray:
    array = to_numpy(labels)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise UsageError(f"labels: {array.dtype} of shape {array.shape}; N integers are needed")
    if len(array) != count:
        raise UsageError(f"{count} images, but {len(array)} labels")
    return np.ascontiguousarray(array.astype(np.int64))


def make_images(
    images: Any,
    labels: Any,
    classes: int,
    *,
    name: str = "images",
    round: bool = False,
    split: str = "test",
) -> "_core.Images":
    pixels, rounded = pixel_array(images, round=round)
    if labels is None:
        labels = np.zeros(len(pixels), np.int64)
    return _core.make_images(
        pixels, label_array(labels, len(pixels)), classes, name, rounded, split
    )
