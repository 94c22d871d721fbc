"""What the comparisons with PyTorch share: running a side, and saying on what and where."""
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def add_common_options(parser, timed=True):
    parser.add_argument("--build", default=os.path.join(HERE, "..", "build"))
    parser.add_argument("--python", default=sys.executable, help="one that can import torch")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5, help="alternations, of which the median")
    if timed:
        parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    parser.add_argument("--realtime", action="store_true",
                        help="both sides at real-time priority (chrt, root), for a machine that "
                             "other programs use too")


def program(options, name, target=None):
    path = os.path.join(options.build, name)
    if not os.path.exists(path):
        sys.exit(f"{path} is missing: build it first (cmake --build {options.build} "
                 f"--target {target or name})")
    return path


def run_json(command, realtime=False):
    """The JSON object that a side prints last."""
    if realtime:
        if shutil.which("chrt") is None:
            sys.exit("--realtime needs chrt (package util-linux)")
        command = ["chrt", "-r", "1", *command]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{result.stderr.strip()}")
    text = result.stdout.strip()
    return json.loads(text if text.startswith("{\n") else text.splitlines()[-1])


def median(runs, key):
    return statistics.median(run[key] for run in runs)


def median_ratio(ours, theirs, key):
    return statistics.median(o[key] / t[key] for o, t in zip(ours, theirs))


def processor():
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()
