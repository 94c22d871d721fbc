"""Modules of torch, wherever torch can be imported."""

import json

import numpy as np
import pytest
import smoothcert as sc

torch = pytest.importorskip("torch")
QUICK = dict(sigma=0.25, n0=20, n=300, alpha=0.01, batch=32, quiet=True)


def module(seed=0):
    torch.manual_seed(seed)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU(), torch.nn.Flatten(),
        torch.nn.Dropout(0.5), torch.nn.Linear(4 * 36, 3),
    )
    return net.eval()


@pytest.fixture
def images():
    return np.random.default_rng(1).integers(0, 256, size=(3, 1, 8, 8), dtype=np.uint8)


def test_a_module_is_certified(images):
    net = module()
    r = sc.certify(net, images, torch.zeros(3, dtype=torch.long), **QUICK)
    with torch.no_grad():
        for i in range(3):
            x = torch.from_numpy(sc.noise(images[i], 0.25, 300, index=i, clamp=False))
            votes = np.bincount(net(x).argmax(1).numpy(), minlength=3)
            assert np.abs(votes - r.counts[i].astype(int)).sum() <= 2  # other batch, other last bits
    record = json.loads(r.external)
    assert record["framework"] == "torch" and record["dtype"] == "float32" and record["tile"] == 32


def test_images_of_torch(images):
    net = module()
    right = sc.certify(net, images, np.zeros(3, int), **QUICK)
    for x in (torch.from_numpy(images), torch.from_numpy(images).float() / 255):
        assert (sc.certify(net, x, torch.zeros(3, dtype=torch.int32), **QUICK).counts == right.counts).all()


def test_training_mode_is_an_error(images):
    net = module()
    net[4].train()
    with pytest.raises(sc.UsageError, match="training mode"):
        sc.certify(net, images, np.zeros(3, int), **QUICK)


def test_identity_is_weights_and_class():
    from smoothcert._models import torch_identity

    assert torch_identity(module()) == torch_identity(module())
    assert torch_identity(module()) != torch_identity(module(1))
    net = module()
    net[1].running_mean += 1  # a buffer
    assert torch_identity(net) != torch_identity(module())
    assert torch_identity(module().half()) != torch_identity(module())


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_modules_of_torch_jit(images):
    """A frozen one has no training flag, and hides its weights: two of them must not be one model."""
    net = module()
    right = sc.certify(net, images, np.zeros(3, int), **QUICK)
    scripted = torch.jit.script(net)
    traced = torch.jit.trace(net, torch.zeros(1, 1, 8, 8))
    for other in (scripted, traced):
        r = sc.certify(other, images, np.zeros(3, int), **QUICK)
        assert np.abs(r.counts.astype(int) - right.counts.astype(int)).max() <= 2
    frozen = torch.jit.freeze(traced)
    with pytest.raises(sc.UsageError, match="model_id"):
        sc.certify(frozen, images, np.zeros(3, int), **QUICK)
    r = sc.certify(frozen, images, np.zeros(3, int), model_id="net", **QUICK)
    assert np.abs(r.counts.astype(int) - right.counts.astype(int)).max() <= 2
    assert len(sc.predict(frozen, images, sigma=0.25, n=50, quiet=True)) == 3


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_dtypes(images, dtype):
    r = sc.certify(module().to(dtype), images, np.zeros(3, int), **QUICK)
    right = sc.certify(module(), images, np.zeros(3, int), **QUICK)
    assert np.abs(r.counts.astype(int) - right.counts.astype(int)).max() <= 30
    assert json.loads(r.external)["dtype"] == str(dtype).replace("torch.", "")
    assert r.key != right.key


def test_the_callers_autocast_and_thread_are_not_the_runs(images):
    """What is recorded is what runs; and it runs on the caller's own thread."""
    import threading

    net = module()
    seen = set()
    net.register_forward_hook(lambda *a: seen.add((threading.get_ident(), a[2].dtype)))
    right = sc.certify(net, images, np.zeros(3, int), **QUICK)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        r = sc.certify(net, images, np.zeros(3, int), **QUICK)
    assert (r.counts == right.counts).all()
    assert seen == {(threading.get_ident(), torch.float32)}
    low = sc.certify(net, images, np.zeros(3, int), autocast=True, **QUICK)
    assert low.key != right.key and torch.bfloat16 in {dtype for _, dtype in seen}


def test_no_gradients_are_kept(images):
    seen = []
    net = module()
    net.register_forward_hook(lambda *a: seen.append(a[2].requires_grad))
    sc.certify(net, images, np.zeros(3, int), **QUICK)
    assert seen and not any(seen)


def test_a_callable_that_answers_with_tensors(images):
    net = module()

    def call(x):
        with torch.no_grad():
            return net(torch.from_numpy(x))

    r = sc.certify(call, images, np.zeros(3, int), model_id="net", **QUICK)
    assert (r.counts == sc.certify(net, images, np.zeros(3, int), **QUICK).counts).all()


def test_the_wrong_device_is_said(images):
    with pytest.raises((sc.UsageError, RuntimeError), match="cuda|device"):
        sc.certify(module(), images, np.zeros(3, int), device="cuda", **QUICK)


def test_a_network_that_we_have_too(tmp_path):
    """The votes of the module on our noise are the native exact votes, but for ties in the last
    bits: at least 99.9 % of samples."""
    net = sc.Network.initialise("mlp", 3, device="cpu")
    layers = {name: torch.from_numpy(t) for name, t in net.tensors().items()}
    names = [n[: -len(".weight")] for n in layers if n.endswith(".weight")]
    parts = [torch.nn.Flatten()]
    for i, name in enumerate(names):
        weight = layers[f"{name}.weight"]
        linear = torch.nn.Linear(weight.shape[1], weight.shape[0])
        linear.load_state_dict({"weight": weight, "bias": layers[f"{name}.bias"]})
        parts += [linear] + ([torch.nn.ReLU()] if i + 1 < len(names) else [])
    theirs = torch.nn.Sequential(*parts).eval()
    x = torch.rand(4, 1, 28, 28)
    if not torch.allclose(theirs(x), torch.from_numpy(net.forward(x.numpy())), atol=1e-4):
        pytest.skip("the layers are in another order than their names")
    images = np.random.default_rng(0).integers(0, 256, (4, 1, 28, 28), dtype=np.uint8)
    settings = dict(sigma=0.5, n0=50, n=5000, alpha=0.01, clamp=True, quiet=True)
    native = sc.certify(net, images, np.zeros(4, int), device="cpu", **settings)
    external = sc.certify(theirs, images, np.zeros(4, int), **settings)
    differing = np.abs(native.counts.astype(int) - external.counts.astype(int)).sum() / 2
    assert differing <= 0.001 * 4 * 5000
