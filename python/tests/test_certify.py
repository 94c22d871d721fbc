"""sc.certify around callables of numpy."""

import json

import numpy as np
import pytest
import smoothcert as sc
from conftest import CLASSES, SHAPE, Linear


def reference(model, images, quick, index, clamp=False, seed=0):
    """The votes of one image, counted in Python from the noise that sc.noise draws."""
    counts = []
    for purpose, n in (("select", quick["n0"]), ("estimate", quick["n"])):
        x = sc.noise(images[index], quick["sigma"], n, index=index, seed=seed, clamp=clamp, purpose=purpose)
        counts.append(np.bincount(model(x).argmax(axis=1), minlength=CLASSES))
    return counts


def test_counts_are_those_of_the_noise(linear, images, labels, quick):
    r = sc.certify(linear, images, labels, **quick)
    assert len(r) == 6 and r.counts.shape == (6, CLASSES)
    for i in range(6):
        counts0, counts = reference(Linear(), images, quick, i)
        assert (r.counts0[i] == counts0).all() and (r.counts[i] == counts).all()
    assert len(np.unique(r.counts, axis=0)) > 1
    right = sc.certificate(r.counts0, r.counts, sigma=0.25, alpha=0.01, labels=labels,
                           slack=0.0)
    assert (right.prediction == r.prediction).all()
    assert np.allclose(right.radius, r.radius, atol=1e-9)
    assert r.guarantee == "sound if rows are independent"


def test_tiles_are_whole_and_float32(linear, images, labels, quick):
    sc.certify(linear, images, labels, **quick)
    assert linear.shapes == {((64, *SHAPE), "float32")}


@pytest.mark.parametrize("batch", [1, 7, 64, 1000])
@pytest.mark.parametrize("clamp", [True, False])
def test_counts_do_not_depend_on_the_batch(linear, images, labels, quick, batch, clamp):
    quick = quick | dict(batch=batch, n=100)
    r = sc.certify(linear, images[:2], labels[:2], clamp=clamp, **quick)
    for i in range(2):
        counts0, counts = reference(Linear(), images, quick, i, clamp=clamp)
        assert (r.counts0[i] == counts0).all() and (r.counts[i] == counts).all()


def test_labels_vote_as_logits(linear, images, labels, quick):
    logits = sc.certify(linear, images, labels, **quick)
    classes = sc.certify(lambda x: linear(x).argmax(axis=1), images, labels, classes=CLASSES, **quick)
    assert (logits.counts == classes.counts).all()
    with pytest.raises(sc.UsageError, match="how many"):
        sc.certify(lambda x: linear(x).argmax(axis=1), images, labels, **quick)


def test_a_class_beyond_the_classes_is_an_error(images, labels, quick):
    with pytest.raises(sc.Error, match="answered class 7"):
        sc.certify(lambda x: np.full(len(x), 7), images, labels, classes=CLASSES, **quick)


def test_nan_votes_for_nobody(linear, images, labels, quick):
    def sometimes(x):
        out = linear(x)
        out[x[:, 0, 0, 0] > images[0, 0, 0, 0] / 255] = np.nan
        return out

    r = sc.certify(sometimes, images[:1], labels[:1], **quick)
    assert 0 < r.invalid[0] < 400
    assert r.counts[0].sum() + r.invalid[0] == 400
    assert r.samples[0] == 400
    nothing = sc.certify(lambda x: np.full((len(x), 3), np.nan), images, labels, **quick)
    assert nothing.abstained.all() and (nothing.radius == 0).all()


@pytest.mark.parametrize(
    "convert",
    [
        lambda o: o.astype(np.float64),
        lambda o: o.astype(np.float16),
        lambda o: np.asfortranarray(o),
        lambda o: np.repeat(o, 2, axis=1)[:, ::2],
        lambda o: o.tolist(),
        lambda o: (o,),
    ],
)
def test_answers_of_many_kinds(linear, images, labels, quick, convert):
    right = sc.certify(linear, images, labels, **quick)
    r = sc.certify(lambda x: convert(linear(x)), images, labels, **quick)
    assert np.abs(right.counts.astype(int) - r.counts.astype(int)).max() <= 2  # float16 rounds


@pytest.mark.parametrize(
    "wrong, words",
    [
        (lambda o: o[:-1], "shape"),
        (lambda o: o[:, 0], "floats"),
        (lambda o: o[None], "shape"),
        (lambda o: o.astype(str), "logits or integer"),
        (lambda o: o > 0, "bool"),
        (lambda o: None, "shape|object|logits"),
    ],
)
def test_answers_that_are_none(linear, images, labels, quick, wrong, words):
    with pytest.raises(sc.Error, match=words):
        sc.certify(lambda x: wrong(linear(x)), images, labels, **quick)


def test_classes_that_change(linear, images, labels, quick):
    def changing(x):
        out = linear(x)
        return out if linear.calls < 12 else np.repeat(out, 2, axis=1)

    with pytest.raises(sc.Error, match="number of classes must stay"):
        sc.certify(changing, images, labels, **quick)


def test_images_may_be_overwritten_and_kept(linear, images, labels, quick):
    right = sc.certify(linear, images, labels, **quick)
    kept = []

    def rude(x):
        out = linear(x)
        x[:] = -1
        kept.append(x)
        return out

    r = sc.certify(rude, images, labels, **quick)
    assert (r.counts == right.counts).all()
    assert np.isfinite(sum(float(k.sum()) for k in kept))  # still there, whoever's they were


def test_splitting_noise_is_exact_and_in_l1(linear, images, labels):
    r = sc.certify(linear, images, labels, sigma=0.5, noise="split", model_id="linear")
    assert r.norm == "L1" and "exact in L1" in r.guarantee
    assert (r.samples == 255).all() and (r.counts0 == 0).all()
    units = r.radius * 255
    assert np.allclose(units, np.rint(units)) and units.max() > 0
    with pytest.raises(sc.UsageError, match="half the range"):
        sc.certify(linear, images, labels, sigma=0.4, noise="split", model_id="linear")


def test_float_images_on_and_off_the_lattice(linear, images, labels, quick):
    right = sc.certify(linear, images, labels, **quick)
    for dtype in (np.float32, np.float64):
        exact = sc.certify(linear, images.astype(dtype) / dtype(255), labels, **quick)
        assert (exact.counts == right.counts).all()
    off = images / 255 * 0.99
    with pytest.raises(sc.UsageError, match="round=True"):
        sc.certify(linear, off, labels, **quick)
    assert len(sc.certify(linear, off, labels, round=True, **quick)) == 6


def test_images_non_contiguous(linear, images, labels, quick):
    right = sc.certify(linear, images, labels, **quick)
    strided = np.repeat(images, 2, axis=3)[..., ::2]
    assert not strided.flags.c_contiguous
    assert (sc.certify(linear, strided, labels, **quick).counts == right.counts).all()


@pytest.mark.parametrize(
    "change, words",
    [
        (dict(images=np.zeros((6, 16), np.uint8)), "dimensions"),
        (dict(images=np.zeros((6, 32, 32, 3), np.uint8)), "N×H×W×C"),
        (dict(images=np.zeros((6, *SHAPE), np.int64)), "int64"),
        (dict(images=np.full((6, *SHAPE), 2.0)), r"\[0, 1\]"),
        (dict(images=np.full((6, *SHAPE), np.nan)), "NaN"),
        (dict(labels=np.zeros(5, int)), "5 labels"),
        (dict(labels=np.zeros(6)), "integers"),
        (dict(labels=np.full(6, 3)), "none of the 3 classes"),
        (dict(model_id=None), "model_id"),
        (dict(mode="exact"), "external"),
        (dict(mode="fast"), "external"),
        (dict(noise="laplace"), "noise law"),
        (dict(p_b="none"), "bound"),
        (dict(sigma=0.0), "sigma|σ"),
        (dict(alpha=1.5), "alpha|α"),
        (dict(n=2), "n"),
        (dict(n=-2), "negative"),
        (dict(batch=0), "batch"),
        (dict(classes=4), "3 logits"),
        (dict(indices=[9]), "image 9"),
        (dict(shard="3/2"), "3/2"),
        (dict(shard="1/2"), "store"),
        (dict(stop_within="5%", stop_at=0.1), "one rule"),
        (dict(autocast=True), "torch"),
    ],
)
def test_what_makes_no_sense_is_said(linear, images, labels, quick, change, words):
    arguments = dict(images=images, labels=labels) | quick | change
    with pytest.raises((sc.UsageError, ValueError), match=words):
        sc.certify(linear, arguments.pop("images"), arguments.pop("labels"), **arguments)


def test_something_that_is_no_model(images, labels, quick):
    with pytest.raises(sc.UsageError, match="is no model"):
        sc.certify(3, images, labels, **quick)


def test_batch_mates_are_refused_unless_allowed(linear, images, labels, quick):
    def normalising(x):
        return linear(x - x.mean())

    with pytest.raises(sc.Error, match="shares a batch"):
        sc.certify(normalising, images, labels, **quick)
    r = sc.certify(normalising, images, labels, allow_batch_dependence=True, **quick)
    assert json.loads(r.external)["batch_dependent"] is True


def test_answers_that_cannot_be_repeated_are_refused(linear, images, labels, quick):
    generator = np.random.default_rng(0)
    with pytest.raises(sc.Error, match="answered twice"):
        sc.certify(lambda x: linear(x) + generator.normal(size=(len(x), 3)), images, labels, **quick)


def test_an_exception_of_the_model_arrives_as_it_is(linear, images, labels, quick):
    def failing(x):
        if linear.calls > 9:
            raise ZeroDivisionError("out of luck")
        return linear(x)

    with pytest.raises(ZeroDivisionError, match="out of luck") as caught:
        sc.certify(failing, images, labels, **quick)
    notes = getattr(caught.value, "__notes__", None)
    if notes is not None:
        assert "store=" in notes[0]


def test_sequential_runs_need_fewer_samples(linear, images, labels, quick):
    quick = quick | dict(n=20000)
    full = sc.certify(linear, images, labels, **quick)
    early = sc.certify(linear, images, labels, stop_within="5%", **quick)
    assert early.samples.sum() < full.samples.sum()
    assert set(early.stop) & {"target", "futile"}
    decided = sc.certify(linear, images, labels, stop_at=0.1, **quick)
    assert decided.samples.sum() < full.samples.sum()


def test_progress_is_told(linear, images, labels, quick):
    import time

    seen = []
    slow = lambda x: (time.sleep(0.05), linear(x))[1]
    sc.certify(slow, images, labels, progress=lambda *a: seen.append(a), **quick)
    assert seen and seen[-1][1] == 6


def test_a_progress_callback_that_raises_ends_the_run(linear, images, labels, quick):
    import time

    def no(*_):
        raise LookupError("no progress")

    slow = lambda x: (time.sleep(0.1), linear(x))[1]
    with pytest.raises(LookupError):
        sc.certify(slow, images, labels, progress=no, **quick)


def test_gaussian_noise_says_what_it_is(linear, images, labels, quick):
    r = sc.certify(linear, images, labels, noise="gaussian", **quick)
    assert r.guarantee == "in real arithmetic only"


def test_results_in_every_form(linear, images, labels, quick, tmp_path):
    r = sc.certify(linear, images, labels, **quick)
    assert 0 <= r.acr <= r.radius.max()
    accuracy = r.certified_accuracy([0, 0.1, 100])
    assert accuracy[0] >= accuracy[1] >= accuracy[2] == 0
    assert r.certified_accuracy(0) == accuracy[0]
    assert "sound if rows are independent" in r._repr_html_() and "<svg" in r._repr_html_()
    assert "ACR" in repr(r)
    file = tmp_path / "r.tsv"
    r.to_tsv(file)
    lines = file.read_text().splitlines()
    assert lines[0].split("\t") == ["idx", "label", "predict", "radius", "correct", "time"]
    assert len(lines) == 7 and float(lines[1].split("\t")[3]) == r.radius[0]
    try:
        import pandas  # noqa: F401
    except ImportError:
        return
    frame = r.to_pandas()
    assert list(frame["prediction"]) == list(r.prediction)


def test_predict(linear, images, labels, quick):
    p = sc.predict(linear, images, sigma=0.25, n=400, alpha=0.01, batch=64, quiet=True)
    assert len(p) == 6 and (p.counts.sum(axis=1) == 400).all()
    sure = p.prediction >= 0
    assert sure.any() and (p.prediction[sure] == p.counts[sure].argmax(axis=1)).all()


def test_estimate(linear, images):
    e = sc.estimate(linear, images, sigma=0.25, n0=10, n=1000, batch=64)
    assert e["samples"] == 6 * 1010 and e["seconds"] > 0 and e["tile"] == 64
    assert "6 images" in repr(e)


def test_smooth_is_the_fields_class(linear, images, labels):
    smooth = sc.Smooth(linear, CLASSES, 0.25)
    prediction, radius = smooth.certify(images[0] / 255, 20, 400, 0.01, batch_size=64)
    assert prediction in (-1, 0, 1, 2) and radius >= 0
    assert smooth.predict(images[0] / 255, 100, 0.01, batch_size=64) in (-1, 0, 1, 2)
    again = sc.Smooth(linear, CLASSES, 0.25).certify(images[0] / 255, 20, 400, 0.01, batch_size=64)
    assert again == (prediction, radius)
    with pytest.raises(sc.UsageError, match="3 logits"):
        sc.Smooth(linear, 4, 0.25).certify(images[0] / 255, 20, 400, 0.01, batch_size=64)


def test_the_number_of_a_call_is_the_images_index(linear, images, labels, quick):
    """Call i of Smooth on image i is certify() of all of them, count by count and with any seed."""
    for seed in (0, 7, (1 << 40) + 3):
        whole = sc.certify(linear, images, labels, seed=seed, **quick)
        smooth = sc.Smooth(linear, CLASSES, 0.25, seed=seed)
        for i in range(len(images)):
            prediction, radius = smooth.certify(images[i], 20, 400, 0.01, batch_size=64)
            assert (prediction, radius) == (whole.prediction[i], whole.radius[i])
    answers = sc.predict(linear, images, sigma=0.25, n=400, alpha=0.01, seed=7, batch=64, quiet=True)
    smooth = sc.Smooth(linear, CLASSES, 0.25, seed=7)
    assert [smooth.predict(x, 400, 0.01, 64) for x in images] == list(answers.prediction)
    # The same image once more is another index, with noise of its own.
    smooth = sc.Smooth(linear, CLASSES, 0.25)
    radii = [{smooth.certify(x, 20, 400, 0.01, 64)[1] for _ in range(3)} for x in images]
    assert max(len(r) for r in radii) > 1


def test_smooth_prepares_a_model_once(linear, images):
    smooth = sc.Smooth(linear, CLASSES, 0.25)
    smooth.certify(images[0], 64, 256, 0.01, batch_size=64)
    before = linear.calls
    smooth.certify(images[1], 64, 256, 0.01, batch_size=64)
    assert linear.calls - before == 5  # the samples' batches, and no check


def test_arts_estimator_interface(linear, images, labels, quick):
    x = images.astype(np.float32) / 255
    whole = sc.certify(linear, images, labels, **quick)
    art = sc.ArtSmoothing(linear, input_shape=SHAPE, nb_classes=CLASSES, scale=0.25, sample_size=20, alpha=0.01)
    prediction, radius = art.certify(x, n=400, batch_size=64)
    assert (prediction == whole.prediction).all() and (radius == whole.radius).all()
    one_hot = art.predict(x, batch_size=64)
    assert one_hot.shape == (6, CLASSES) and set(one_hot.sum(axis=1)) <= {0.0, 1.0}
    sure = (one_hot.sum(axis=1) > 0) & (prediction >= 0)
    assert sure.any() and (one_hot.argmax(axis=1) == prediction)[sure].all()
    with pytest.raises(sc.UsageError, match="N×1×4×4"):
        art.certify(x[:, :, :3], n=100)
    with pytest.raises(sc.UsageError, match="is_abstain"):
        art.predict(x, is_abstain=False)
    with pytest.raises(sc.UsageError, match="sc.train"):
        art.fit(x, labels)


def test_art_itself(linear, images):
    """Where ART can be imported: its own estimator around the same classifier says much the same."""
    smoothing = pytest.importorskip("art.estimators.certification.randomized_smoothing")
    pytest.importorskip("statsmodels")  # ART's bounds need it
    torch = pytest.importorskip("torch")
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, CLASSES, bias=False)).eval()
    net[1].weight.data = torch.from_numpy(linear.w)
    settings = dict(input_shape=SHAPE, nb_classes=CLASSES, scale=0.25, sample_size=100, alpha=0.01)
    theirs = smoothing.PyTorchRandomizedSmoothing(
        model=net, loss=torch.nn.CrossEntropyLoss(), device_type="cpu", **settings
    )
    ours = sc.ArtSmoothing(net, **settings)
    x = images.astype(np.float32) / 255
    a, b = theirs.certify(x, n=4000, batch_size=500), ours.certify(x, n=4000, batch_size=500)
    both = (a[0] >= 0) & (b[0] >= 0)
    assert both.any() and (a[0] == b[0])[both].all()
    assert np.abs(a[1] - b[1])[both].max() < 0.1
