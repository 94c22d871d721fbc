#!/usr/bin/env python3
"""The Markdown file of one tools/gpu-check: what ran where, each stage's verdict, each rate."""
import argparse
import datetime
import glob
import json
import os
import re
import subprocess

STAGES = ["build", "gpu-tests", "other-tests", "memcheck", "racecheck", "initcheck", "synccheck",
          "bench"]


def read(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return ""


def benchmarks(logs):
    found = {}
    for path in sorted(glob.glob(os.path.join(logs, "bench-*.json"))):
        name = os.path.basename(path)[len("bench-"):-len(".json")]
        try:
            found[name] = json.loads(read(path))
        except ValueError:
            pass  # its stage has already failed
    return found


def ratio(ours, theirs):
    return f"{ours / theirs:.1f}×" if theirs else "–"


def rows(found):
    for recipe in ("normal", "adversarial", "smoothing"):
        peer = found.get(f"torch-train-{recipe}", {}).get("seconds_per_epoch")
        for prefix, what in (("train", "libraries"), ("direct-train", "own kernels")):
            ours = found.get(f"{prefix}-{recipe}")
            if not ours:
                continue
            seconds = ours["seconds_per_epoch"]
            theirs = f"{1000 * peer:.1f} ms" if peer else "–"
            yield (f"epoch, {recipe}, {ours['network']}, {what}", f"{1000 * seconds:.1f} ms",
                   theirs, ratio(peer, seconds) if peer else "–")
    for name, ours in found.items():
        if not name.startswith("votes-"):
            continue
        peer = found.get(f"torch-votes-{ours['network']}", {})
        rate, theirs = ours["samples_per_second"], peer.get("samples_per_second")
        yield (f"votes, {ours['network']}, {ours['mode']}, {ours['noise']}: {ours['path']}",
               f"{rate / 1e6:,.1f} M/s",
               f"{theirs / 1e6:,.1f} M/s ({peer['mode']})" if theirs else "–",
               ratio(rate, theirs))


def tool_version(command):
    try:
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    found = re.search(r"release ([\d.]+)", text)
    return found[1] if found else text.strip().splitlines()[-1]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("logs", "device", "driver", "commit", "results"):
        parser.add_argument(f"--{name}", required=True)
    options = parser.parse_args()
    now = datetime.datetime.now(datetime.timezone.utc)
    found = benchmarks(options.logs)
    torch = {b["version"] for n, b in found.items() if n.startswith("torch-")}
    described = next((b["device"] for n, b in found.items() if not n.startswith("torch-")), "")

    lines = [f"# tools/gpu-check, {now:%Y-%m-%d %H:%M} UTC", "",
             "| | |", "|---|---|",
             f"| device | {options.device} |",
             f"| driver | {options.driver} |",
             f"| CUDA compiler | {tool_version([os.environ.get('CUDACXX') or 'nvcc', '--version'])} |",
             f"| backend | {described or 'not measured'} |",
             f"| PyTorch | {', '.join(sorted(torch)) or 'none'} |",
             f"| commit | {options.commit} |"]
    for stage in STAGES:
        verdict = read(os.path.join(options.logs, stage + ".status")) or "not run"
        lines.append(f"| {stage} | {verdict} |")
    table = list(rows(found))
    if table:
        lines += ["", "| what | smoothcert | PyTorch | ratio |", "|---|---|---|---|"]
        lines += ["| " + " | ".join(row) + " |" for row in table]
    text = "\n".join(lines) + "\n"

    os.makedirs(options.results, exist_ok=True)
    device = re.sub(r"[^a-z0-9]+", "-", options.device.lower()).strip("-")
    path = os.path.join(options.results, f"gpu-{device}-{now:%Y-%m-%d}.md")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    print(text)
    print(f"written to {path}")


if __name__ == "__main__":
    main()
