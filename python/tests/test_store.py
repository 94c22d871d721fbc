"""Runs that are kept, killed, continued, cut into shards and merged."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
import smoothcert as sc
from conftest import Linear


def test_a_finished_run_is_not_drawn_again(linear, images, labels, quick, tmp_path):
    file = tmp_path / "r.sqlite"
    first = sc.certify(linear, images, labels, store=file, **quick)
    calls = linear.calls
    again = sc.certify(linear, images, labels, store=file, **quick)
    assert again.resumed_images == 6
    assert linear.calls - calls <= 9  # the check of rows and one look at the answers
    assert (again.counts == first.counts).all() and (again.radius == first.radius).all()


def test_runs_of_other_models_batches_and_settings_do_not_mix(linear, images, labels, quick, tmp_path):
    file = tmp_path / "r.sqlite"
    sc.certify(linear, images, labels, store=file, **quick)
    for change in (dict(batch=32), dict(model_id="other"), dict(seed=1), dict(clamp=True), dict(sigma=0.5)):
        r = sc.certify(linear, images, labels, store=file, **(quick | change))
        assert r.resumed_images == 0, change
    with sc.Store(file) as store:
        runs = store.runs()
    assert len(runs) == 6
    assert {r["mode"] for r in runs} == {"external"}
    assert runs[0]["guarantee"] == "sound if rows are independent"


def test_the_store_without_sql(linear, images, labels, quick, tmp_path):
    file = tmp_path / "r.sqlite"
    r = sc.certify(linear, images, labels, store=file, **quick)
    with sc.Store(file) as store:
        held = store.results()
        assert (held.counts == r.counts).all() and (held.radius == r.radius).all()
        assert held.settings["sigma"] == 0.25 and held.guarantee == r.guarantee
        with pytest.raises(sc.UsageError, match="no run 9"):
            store._store.certificates(9)
    with pytest.raises(sc.UsageError, match="closed"):
        store.runs()
    with pytest.raises(sc.Error, match="nowhere"):
        sc.Store(tmp_path / "nowhere.sqlite")


def test_an_exception_keeps_what_was_finished(images, labels, quick, tmp_path):
    whole = sc.certify(Linear(), images, labels, **(quick | dict(n=3000)))
    file = tmp_path / "r.sqlite"
    failing = Linear()

    def slow(x):
        if failing.calls > 100:
            raise OSError("the GPU fell off the bus")
        time.sleep(0.01)
        return failing(x)

    with pytest.raises(OSError, match="fell off") as caught:
        sc.certify(slow, images, labels, store=file, **(quick | dict(n=3000)))
    notes = getattr(caught.value, "__notes__", ["goes on"])
    assert "goes on" in notes[0]
    rest = sc.certify(Linear(), images, labels, store=file, **(quick | dict(n=3000)))
    assert (rest.counts == whole.counts).all() and (rest.radius == whole.radius).all()


SCRIPT = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where a shell started us behind it
sys.path.insert(0, {tests!r})
import numpy as np, smoothcert as sc
from conftest import Linear
linear = Linear()
def slow(x):
    time.sleep(0.02)
    return linear(x)
images = np.random.default_rng(1).integers(0, 256, size=(6, 1, 4, 4), dtype=np.uint8)
print("started", flush=True)
sc.certify(slow, images, np.zeros(6, int), store={store!r}, sigma=0.25, n0=20, n=5000, alpha=0.01,
           model_id="linear", batch=64, quiet=True)
"""


def finished(store):
    """How many images the store holds; 0 before it is there."""
    try:
        with contextlib.closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as db:
            return db.execute("SELECT count(*) FROM certificates").fetchone()[0]
    except sqlite3.Error:
        return 0


def interrupted(tmp_path, sent):
    """Sends the signal once an image is stored, before all are."""
    store = str(tmp_path / "r.sqlite")
    script = SCRIPT.format(tests=os.path.dirname(__file__), store=store)
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )
    assert process.stdout.readline() == "started\n"
    deadline = time.monotonic() + 60
    while finished(store) == 0 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(sent)
    _, errors = process.communicate(timeout=120)
    return store, process.returncode, errors


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_killed_and_continued_gives_the_same(images, quick, tmp_path, sent):
    store, code, errors = interrupted(tmp_path, sent)
    assert code != 0
    if sent == signal.SIGINT:
        assert "KeyboardInterrupt" in errors or "Interrupted" in errors
        assert "goes on" in errors, errors
    arguments = quick | dict(n=5000)
    labels = np.zeros(6, int)
    linear = Linear()
    rest = sc.certify(linear, images, labels, store=store, **arguments)
    fresh = Linear()
    whole = sc.certify(fresh, images, labels, **arguments)
    assert (rest.counts == whole.counts).all() and (rest.counts0 == whole.counts0).all()
    assert linear.calls < fresh.calls  # something was kept


def test_shards_merge_into_the_whole(linear, images, labels, quick, tmp_path, monkeypatch):
    whole = sc.certify(linear, images, labels, store=tmp_path / "whole.sqlite", **quick)
    parts = []
    for rank in range(2):
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("WORLD_SIZE", "2")
        r = sc.certify(linear, images, labels, store=tmp_path / "part.sqlite", shard="auto", **quick)
        assert len(r) == 3
        parts.append(r.store)
    assert parts[0].endswith("part.1-of-2.sqlite")
    report = sc.merge(tmp_path / "merged.sqlite", parts)
    assert report["certificates"] == 6
    with sc.Store(tmp_path / "merged.sqlite") as merged, sc.Store(tmp_path / "whole.sqlite") as one:
        assert (merged.results().counts == whole.counts).all()
        assert merged._store.canonical_dump() == one._store.canonical_dump()
    with pytest.raises(sc.Error):
        sc.merge(tmp_path / "gap.sqlite", parts[:1])


def test_shards_of_every_launcher():
    from smoothcert._shards import shard_of

    assert shard_of(None) == (1, 1)
    assert shard_of("2/4") == (2, 4) and shard_of((1, 3)) == (1, 3)
    assert shard_of("auto", {}) == (1, 1)
    assert shard_of("auto", {"RANK": "1", "WORLD_SIZE": "4"}) == (2, 4)
    assert shard_of("auto", {"SLURM_PROCID": "3", "SLURM_NTASKS": "4"}) == (4, 4)
    array = {"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_MIN": "5", "SLURM_ARRAY_TASK_COUNT": "8"}
    assert shard_of("auto", array) == (3, 8)
    with pytest.raises(sc.UsageError):
        shard_of("auto", {"RANK": "x", "WORLD_SIZE": "4"})


def test_the_command_line_reads_the_store(linear, images, labels, quick, tmp_path):
    file = tmp_path / "r.sqlite"
    sc.certify(linear, images, labels, store=file, **quick)
    done = subprocess.run(
        [sys.executable, "-m", "smoothcert", "export", str(file), "--tsv", str(tmp_path / "r.tsv")],
        capture_output=True, text=True,
    )
    assert done.returncode == 0, done.stderr


def test_the_report_has_external_runs_in_it(linear, images, labels, quick, tmp_path):
    r = sc.certify(linear, images, labels, store=tmp_path / "r.sqlite", name="theirs", **quick)
    page = r.report(tmp_path / "report")
    with open(page, encoding="utf-8") as file:
        assert "theirs" in file.read()
    with pytest.raises(sc.UsageError, match="nothing was stored"):
        sc.certify(linear, images, labels, **quick).report()


def test_a_model_is_not_used_twice_at_once(linear, images, labels, quick):
    seen = []

    def nested(x):
        if not seen and linear.calls > 10:
            seen.append(1)
            sc.certify(Linear(), images, labels, **quick)  # another model: fine
        return linear(x)

    assert len(sc.certify(nested, images, labels, **quick)) == 6
    assert seen
