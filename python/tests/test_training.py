"""Training, attacks, disproofs and the comparison, against the program that comes with the package."""

import json
import subprocess
import sys

import numpy as np
import pytest
import smoothcert as sc


@pytest.fixture(scope="module")
def digits():
    """Images that a small network learns in seconds: a bright bar where its class says."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 10, 1500)
    images = generator.integers(0, 90, (1500, 1, 28, 28)).astype(np.uint8)
    for image, label in zip(images, labels):
        image[0, 2 * label + 3 : 2 * label + 7, 4:24] += 50
    return images, labels


@pytest.fixture(scope="module")
def trained(digits):
    return sc.train("smoothing", *digits, network="mlp", sigma=0.25, epochs=8, device="cpu", quiet=True)


def test_training_learns(trained, digits):
    images, labels = digits
    right = trained.forward(images[:200] / np.float32(255)).argmax(axis=1) == labels[:200]
    assert right.mean() > 0.9
    h = trained.history
    assert len(h["step_loss"]) == len(h["step_accuracy"]) == 8 * 12 and len(h["epoch_seconds"]) == 8
    assert h["step_loss"][-1] < h["step_loss"][0]


def program(*arguments, cwd):
    done = subprocess.run(
        [sys.executable, "-m", "smoothcert", *map(str, arguments)], capture_output=True, text=True, cwd=cwd
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def data_folder(digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    images, labels = digits
    np.savez(folder / "bars.npz", x_train=images, y_train=labels, x_test=images[:50], y_test=labels[:50])
    return folder


def test_the_program_trains_the_same_weights(digits, data_folder, tmp_path):
    settings = dict(epochs=1, batch_size=64, learning_rate=0.002, sigma=0.5, train_images=700, seed=3)
    ours = sc.train("smoothing", *digits, network="convnn", device="cpu", threads=2, quiet=True, **settings)
    options = [f"--{k.replace('_', '-')}={v}" for k, v in settings.items()]
    program("train", "smoothing", "--network=convnn", "--device=cpu", "--threads=2", "--data", data_folder / "bars.npz",
            "--out=m.safetensors", *options, cwd=tmp_path)
    theirs = sc.Network.load(tmp_path / "m.safetensors", device="cpu")
    assert theirs.hash == ours.hash


class Stop(Exception):
    pass


def test_a_training_goes_on_where_it_was_stopped(digits, tmp_path):
    settings = dict(network="mlp", epochs=15, device="cpu", threads=1, quiet=True)
    whole = sc.train("normal", *digits, **settings)
    file = tmp_path / "m.safetensors"

    def stop(epoch, *_):
        if 0 < epoch < 14:
            raise KeyboardInterrupt

    with pytest.raises(sc.Interrupted, match="goes on from there"):
        sc.train("normal", *digits, progress=stop, out=file, **settings)
    assert not file.exists() and (tmp_path / "m.safetensors.resume").exists()
    again = sc.train("normal", *digits, out=file, **settings)
    assert again.hash == whole.hash and not (tmp_path / "m.safetensors.resume").exists()
    assert len(again.history["step_loss"]) == len(whole.history["step_loss"])
    with pytest.raises(sc.UsageError, match="force"):
        sc.train("normal", *digits, out=file, **settings)
    assert sc.train("normal", *digits, out=file, force=True, **settings).hash == whole.hash


def test_recipes_of_many_kinds(digits, tmp_path):
    recipe = {"base": "normal", "name": "quick", "epochs": 1, "batch_size": 500}
    (tmp_path / "quick.json").write_text(json.dumps(recipe))
    one = sc.train(recipe, *digits, network="mlp", device="cpu", quiet=True)
    two = sc.train(tmp_path / "quick.json", *digits, network=one, device="cpu", quiet=True)
    assert one.hash == two.hash and len(one.history["step_loss"]) == 3


@pytest.mark.parametrize(
    "change, words",
    [
        (dict(recipe="normall"), "normal"),
        (dict(sigma=0.5), "sigma: wants a smoothing recipe"),
        (dict(epsilon=0.5), "epsilon: wants an adversarial recipe"),
        (dict(lambda_=0.5), "lambda: wants a recipe with splitting noise"),
        (dict(epochs=0), "epochs"),
        (dict(network="convn"), "convnn"),
        (dict(network="resnet20"), "fit|1×28×28"),
        (dict(recipe={"epoch": 3}), "epoch"),
        (dict(classes=5), "none of the 5 classes"),
    ],
)
def test_what_makes_no_sense_is_said(digits, change, words):
    keywords = dict(recipe="normal", network="mlp", device="cpu", quiet=True) | change
    with pytest.raises(sc.UsageError, match=words):
        sc.train(keywords.pop("recipe"), *digits, **keywords)


def test_progress_is_told(digits):
    seen = []
    sc.train("normal", *digits, network="mlp", epochs=1, device="cpu", quiet=True, progress=lambda *a: seen.append(a))
    assert seen and seen[-1][:2] == (0, 1) and len(seen[-1]) == 6

    def no(*_):
        raise Stop

    with pytest.raises(Stop):
        sc.train("normal", *digits, network="convnn", epochs=30, device="cpu", quiet=True, progress=no)


def test_attacks_are_the_programs(trained, digits, data_folder, tmp_path):
    images, labels = digits[0][:50], digits[1][:50]
    trained.save(tmp_path / "m.safetensors")
    told = program("attack", "m.safetensors", "--attack=l2,pgd-linf", "--epsilon=0.2", "--steps=5", "--device=cpu",
                   "--data", data_folder / "bars.npz", "--json", cwd=tmp_path)
    theirs = json.loads(told)
    ours = sc.attack(trained, images, labels, attack=["l2", "pgd-linf"], epsilon=0.2, steps=5, device="cpu",
                     examples=True)
    assert ours.clean_accuracy == theirs["clean_accuracy"]
    for a, b in zip(ours.attacks, theirs["attacks"]):
        assert {k: v for k, v in a.items() if k != "seconds"} == {k: v for k, v in b.items() if k != "seconds"}
    assert ours["pgd-linf"]["accuracy_worst"] < ours.clean_accuracy
    x = ours.adversarial["pgd-linf"]
    assert x.shape == images.shape and np.abs(x - images / np.float32(255)).max() <= 0.2 + 1e-6
    broken = trained.forward(x).argmax(axis=1) != labels
    assert broken.mean() == pytest.approx(1 - ours["pgd-linf"]["accuracy_cross_entropy"])


def test_attacks_of_a_module_of_torch(trained, digits):
    torch = pytest.importorskip("torch")
    tensors = {k: torch.from_numpy(v.copy()) for k, v in trained.tensors().items()}
    names = sorted({k.rpartition(".")[0] for k in tensors})
    parts = [torch.nn.Flatten()]
    for i, name in enumerate(names):
        weight = tensors[f"{name}.weight"]
        linear = torch.nn.Linear(weight.shape[1], weight.shape[0])
        linear.load_state_dict({"weight": weight, "bias": tensors[f"{name}.bias"]})
        parts += [linear] + ([torch.nn.ReLU()] if i + 1 < len(names) else [])
    module = torch.nn.Sequential(*parts).eval()
    images, labels = digits[0][:60], digits[1][:60]
    settings = dict(attack=["l2", "pgd-l2"], epsilon=2.5, steps=4, quiet=True)
    theirs = sc.attack(module, images, labels, batch=25, **settings)
    ours = sc.attack(trained, images, labels, device="cpu", **settings)
    assert theirs.clean_accuracy == ours.clean_accuracy
    for a, b in zip(theirs.attacks, ours.attacks):
        assert abs(a["accuracy_worst"] - b["accuracy_worst"]) <= 2 / 60
    assert ours["pgd-l2"]["accuracy_worst"] < ours.clean_accuracy
    assert all(p.grad is None for p in module.parameters())


def test_attacks_that_cannot_be(trained, digits):
    images, labels = digits[0][:5], digits[1][:5]
    with pytest.raises(sc.UsageError, match="no gradients"):
        sc.attack(lambda x: np.zeros((len(x), 10), np.float32), images, labels)
    with pytest.raises(sc.UsageError, match="one step"):
        sc.attack(trained, images, labels, attack="l2", steps=5)
    with pytest.raises(sc.UsageError, match="pgd-l2"):
        sc.attack(trained, images, labels, attack="pgd-l3")


def test_disproofs_lie_beyond_radii(trained, digits, tmp_path):
    images, labels = digits[0][:6], digits[1][:6]
    store = tmp_path / "r.sqlite"
    sc.certify(trained, images, labels, sigma=0.25, n0=50, n=500, alpha=0.01, store=store, device="cpu", quiet=True)
    (run,) = sc.disprove(trained, images, labels, store=store, noises=8, steps=5, bisections=2, samples=1000,
                         device="cpu")
    assert run["certified"] > 0 and len(run["index"]) > 0
    assert run["images"].shape[1:] == (1, 28, 28) and run["confirmed"].dtype == bool
    distance = np.sqrt((((run["images"].astype(float) - images[run["index"]]) / 255) ** 2).sum(axis=(1, 2, 3)))
    assert np.allclose(distance, run["distance"], rtol=1e-9)
    assert run["confirmed"].any() and (run["distance"] >= run["radius"])[run["confirmed"]].all()
    again = sc.disprove(trained, images, labels, store=store, device="cpu")
    assert (again[0]["votes_rival"] == run["votes_rival"]).all()  # from the store
    with pytest.raises(sc.UsageError, match="no L2 run"):
        sc.disprove(sc.Network.initialise("mlp", 5), images, labels, store=store, device="cpu")


def test_compare_writes_the_report(digits, tmp_path):
    images, labels = digits
    settings = dict(out=tmp_path / "report", recipes=["normal", "smoothing"], images=3, attack_images=20,
                    first_train_images=500, n0=20, n=100, device="cpu", quiet=True)
    seen = []
    first = sc.compare(images, labels, images[:40], labels[:40], progress=lambda *a: seen.append(a), **settings)
    assert first.report.endswith("report.html") and "<html" in open(first.report, encoding="utf-8").read()
    assert {m["name"] for m in first["models"]} == {"normal", "smoothing"}
    assert seen and all(0 <= share <= 1 for _, share, _ in seen)
    again = sc.compare(images, labels, images[:40], labels[:40], **settings)
    assert [m["hash"] for m in again["models"]] == [m["hash"] for m in first["models"]] if "hash" in first["models"][0] else True
    with pytest.raises(sc.UsageError, match="time_budget"):
        sc.compare(images, labels, images, labels, images=3, time_budget=5)
