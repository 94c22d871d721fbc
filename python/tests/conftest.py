"""Models small enough to run thousands of times, with known answers."""

import numpy as np
import pytest

SHAPE = (1, 4, 4)
CLASSES = 3


def weights(seed=0):
    return np.random.default_rng(seed).normal(size=(CLASSES, 16)).astype(np.float32)


class Linear:
    """logits = images · W, row by row: the same bits wherever a row sits."""

    def __init__(self, seed=0):
        self.w = weights(seed)
        self.calls = 0
        self.shapes = set()

    def __call__(self, images):
        self.calls += 1
        self.shapes.add((images.shape, images.dtype.name))
        flat = images.reshape(len(images), -1)
        out = np.zeros((len(images), CLASSES), np.float32)
        for i in range(flat.shape[1]):  # a matrix product may round otherwise in another row
            out += flat[:, i : i + 1] * self.w[:, i]
        return out


@pytest.fixture
def linear():
    return Linear()


@pytest.fixture
def images():
    return np.random.default_rng(1).integers(0, 256, size=(6, *SHAPE), dtype=np.uint8)


@pytest.fixture
def labels(images, linear):
    out = linear(images.astype(np.float32) / 255).argmax(axis=1)
    linear.calls = 0
    linear.shapes.clear()
    return out


@pytest.fixture
def quick():
    """Keywords of a run of milliseconds."""
    return dict(sigma=0.25, n0=20, n=400, alpha=0.01, model_id="linear", batch=64, quiet=True)
