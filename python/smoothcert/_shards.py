"""Which part of the images this process takes."""

from __future__ import annotations

import os
from typing import Mapping

from ._errors import UsageError


def shard_of(shard: str | tuple[int, int] | None, environ: Mapping[str, str] | None = None) -> tuple[int, int]:
    """(part, parts), part from 1. "auto" reads RANK and WORLD_SIZE (torchrun), SLURM_PROCID and
    SLURM_NTASKS (srun), SLURM_ARRAY_TASK_ID and its MIN and COUNT (job arrays), in this order."""
    if shard is None:
        return 1, 1
    if isinstance(shard, tuple):
        part, parts = (int(v) for v in shard)
    elif shard == "auto":
        e = os.environ if environ is None else environ
        try:
            if "RANK" in e and "WORLD_SIZE" in e:
                part, parts = int(e["RANK"]) + 1, int(e["WORLD_SIZE"])
            elif int(e.get("SLURM_NTASKS", "1")) > 1 and "SLURM_PROCID" in e:
                part, parts = int(e["SLURM_PROCID"]) + 1, int(e["SLURM_NTASKS"])
            elif "SLURM_ARRAY_TASK_ID" in e and "SLURM_ARRAY_TASK_COUNT" in e:
                first = int(e.get("SLURM_ARRAY_TASK_MIN", "0"))
                part = int(e["SLURM_ARRAY_TASK_ID"]) - first + 1
                parts = int(e["SLURM_ARRAY_TASK_COUNT"])
            else:
                part, parts = 1, 1
        except ValueError as error:
            raise UsageError(f"shard='auto': a rank in the environment is no number ({error})") from None
    else:
        try:
            part, parts = (int(v) for v in str(shard).split("/"))
        except ValueError:
            raise UsageError(f"shard: {shard!r}; 'i/N', (i, N) or 'auto' is needed") from None
    if not 1 <= part <= parts:
        raise UsageError(f"shard: {part}/{parts} is no part of a whole")
    return part, parts


def shard_file(store: str, part: int, parts: int) -> str:
    """A store of its own for each part: "x.sqlite" becomes "x.2-of-4.sqlite"."""
    if parts == 1:
        return store
    stem, extension = os.path.splitext(store)
    return f"{stem}.{part}-of-{parts}{extension}"
