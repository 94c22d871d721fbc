"""Bounds, radii, noise and our own networks."""

import subprocess
import sys

import numpy as np
import pytest
import smoothcert as sc


def test_clopper_pearson_lower():
    assert sc.clopper_pearson_lower(100, 100, 0.001) == pytest.approx(0.001 ** (1 / 100), rel=1e-9)
    bounds = sc.clopper_pearson_lower(np.array([[0, 50], [99, 100]]), 100, 0.05)
    assert bounds.shape == (2, 2) and bounds[0, 0] == 0
    assert (np.diff(bounds.reshape(-1)) > 0).all()
    with pytest.raises(ValueError):
        sc.clopper_pearson_lower(101, 100, 0.05)
    with pytest.raises(ValueError):
        sc.clopper_pearson_lower(-1, 100, 0.05)
    with pytest.raises(ValueError):
        sc.clopper_pearson_lower(0.5, 100, 0.05)


def test_radius_is_cohens():
    # 99,000 of 100,000 at α = 0.001, σ = 0.5: σΦ⁻¹(0.98898…), worked out with scipy.
    assert sc.radius(99000, 100000, 0.001, 0.5) == pytest.approx(1.1454, abs=2e-3)
    assert sc.radius(50000, 100000, 0.001, 0.5) == 0
    assert sc.radius([99000, 50000], 100000, 0.001, 0.5).shape == (2,)
    with pytest.raises(ValueError, match="votes of"):
        sc.radius(5, 4, 0.001, 0.5)


def test_votes_in_certificate_out():
    r = sc.certificate([3, 97], [50, 9950], sigma=0.5, labels=[1])
    assert r.prediction[0] == 1 and r.correct[0]
    assert r.radius[0] == sc.radius(9950, 10000, 0.001, 0.5)
    # The class is chosen by the selection counts alone.
    r = sc.certificate([97, 3], [50, 9950], sigma=0.5)
    assert r.prediction[0] == -1 and r.radius[0] == 0
    counted = sc.certificate([[3, 97, 0]] * 2, [[500, 9000, 500]] * 2, sigma=0.5, p_b="counted")
    assert (counted.radius > sc.radius(9000, 10000, 0.001, 0.5)).all()
    early = sc.certificate([3, 97], [50, 9950], sigma=0.5, n_max=100000)
    assert early.radius[0] < r.radius[0] or early.radius[0] < sc.radius(9950, 10000, 0.001, 0.5)
    with pytest.raises(ValueError, match="different numbers"):
        sc.certificate([[1, 2]], [[1, 2], [3, 4]], sigma=0.5)


def test_noise_is_on_the_lattice_and_repeats():
    image = np.full((1, 8, 8), 100, np.uint8)
    x = sc.noise(image, 0.25, 500, clamp=False)
    assert x.shape == (500, 1, 8, 8) and x.dtype == np.float32
    steps = x.astype(np.float64) * 255
    assert np.abs(steps - np.rint(steps)).max() < 1e-3
    assert x.std() == pytest.approx(0.25, abs=0.01) and x.mean() == pytest.approx(100 / 255, abs=0.01)
    assert (sc.noise(image, 0.25, 100, first=400, clamp=False) == x[400:]).all()
    assert (sc.noise(image, 0.25, 500, clamp=False, threads=1) == x).all()
    for other in (dict(seed=1), dict(index=1), dict(purpose="select")):
        assert (sc.noise(image, 0.25, 500, clamp=False, **other) != x).any()
    clamped = sc.noise(image, 0.5, 500)
    assert clamped.min() == 0 and clamped.max() == pytest.approx(1)
    continuous = sc.noise(image, 0.25, 500, noise="gaussian", clamp=False)
    assert continuous.std() == pytest.approx(0.25, abs=0.01)
    with pytest.raises(ValueError):
        sc.noise(image, 0.25, -1)


@pytest.fixture
def network(tmp_path):
    net = sc.Network.initialise("mlp", 3, device="cpu", threads=2)
    net.save(tmp_path / "mlp.safetensors")
    return net


def test_a_network_of_ours(network, tmp_path):
    loaded = sc.Network.load(tmp_path / "mlp.safetensors", device="cpu")
    assert loaded.hash == network.hash and loaded.shape == (1, 28, 28)
    x = np.random.default_rng(0).random((5, 1, 28, 28), np.float32)
    assert loaded.forward(x).shape == (5, loaded.classes)
    assert (loaded(x) == network(x)).all()
    assert sum(t.size for t in loaded.tensors().values()) > 1000
    with pytest.raises(sc.UsageError, match="shape"):
        loaded.forward(x[:, :, :27])


def test_native_and_external_votes_are_equal(network, tmp_path):
    """Our forward pass, called as anybody's: the same votes, and another run."""
    images = np.random.default_rng(0).integers(0, 256, (3, 1, 28, 28), dtype=np.uint8)
    labels = np.arange(3)
    settings = dict(sigma=0.5, n0=50, n=500, alpha=0.01, clamp=True, quiet=True)
    native = sc.certify(tmp_path / "mlp.safetensors", images, labels, device="cpu", **settings)
    assert native.guarantee == "sound as executed"
    theirs = sc.certify(lambda x: network.forward(x), images, labels, model_id="mlp", **settings)
    assert (native.counts == theirs.counts).all() and (native.counts0 == theirs.counts0).all()
    assert native.key != theirs.key
    assert len(np.unique(native.counts.argmax(axis=1))) >= 1
    again = sc.certify(network, images, labels, device="cpu", **settings)
    assert (again.counts == native.counts).all()
    with pytest.raises(sc.UsageError, match="outside smoothcert"):
        sc.certify(network, images, labels, batch=32, **settings)


def test_the_command_line_is_in_the_package():
    done = subprocess.run([sys.executable, "-m", "smoothcert", "--version"], capture_output=True, text=True)
    assert done.returncode == 0 and sc.__version__ in done.stdout
    wrong = subprocess.run([sys.executable, "-m", "smoothcert", "certifi"], capture_output=True, text=True)
    assert wrong.returncode == 2 and "certify" in wrong.stderr
