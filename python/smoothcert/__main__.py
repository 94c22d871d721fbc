"""``python -m smoothcert`` and the ``smoothcert`` command: the program that comes with the package."""

from __future__ import annotations

import os
import sys


def program() -> str:
    """Path of the command-line program."""
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), "bin", "smoothcert")


def main() -> "None":
    path = program()
    if not os.access(path, os.X_OK):
        sys.exit(f"smoothcert: {path} is missing; was the package installed with pip?")
    # In this process's place, so that signals and exit codes are the program's own.
    os.execv(path, ["smoothcert", *sys.argv[1:]])


if __name__ == "__main__":
    main()
