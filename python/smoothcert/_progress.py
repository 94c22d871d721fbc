"""Progress bars: tqdm where it is installed, a line on stderr otherwise."""

from __future__ import annotations

import sys
from typing import Any, Callable, Optional

Progress = Callable[[int, int, int, int, float], None]


def progress_of(progress: Any, what: str) -> tuple[Optional[Progress], Callable[[], None]]:
    """The callback for ``progress=`` (True, False, or a callable of images_done, images_total,
    samples_done, samples_total, seconds), and what ends it."""
    if not progress:
        return None, lambda: None
    if callable(progress):
        return progress, lambda: None
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return _line(what)
    bar = tqdm(total=None, unit="sample", unit_scale=True, desc=what)

    def show(images_done: int, images_total: int, samples_done: int, samples_total: int, seconds: float) -> None:
        bar.total = samples_total
        bar.set_postfix_str(f"{images_done}/{images_total} images", refresh=False)
        bar.update(samples_done - bar.n)

    return show, bar.close


def _line(what: str) -> tuple[Progress, Callable[[], None]]:
    shown = False

    def show(images_done: int, images_total: int, samples_done: int, samples_total: int, seconds: float) -> None:
        nonlocal shown
        shown = True
        share = samples_done / samples_total if samples_total else 1.0
        sys.stderr.write(f"\r{what}: {100 * share:.0f} %, {images_done}/{images_total} images ")
        sys.stderr.flush()

    def end() -> None:
        if shown:
            sys.stderr.write("\n")

    return show, end


def parts_of(
    progress: Any, what: str, words: Callable[..., tuple[float, str]]
) -> tuple[Optional[Callable[..., None]], Callable[[], None]]:
    """The same for work that is no sampling: ``words`` makes a share in [0, 1] and a text of what the
    callback gets."""
    if not progress:
        return None, lambda: None
    if callable(progress):
        return progress, lambda: None
    try:
        from tqdm.auto import tqdm
    except ImportError:
        def line(*told: Any) -> None:
            share, text = words(*told)
            sys.stderr.write(f"\r{what}: {100 * share:.0f} %, {text} ")
            sys.stderr.flush()

        return line, lambda: (sys.stderr.write("\n"), None)[1]
    bar = tqdm(total=1.0, desc=what, bar_format="{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}")

    def show(*told: Any) -> None:
        share, text = words(*told)
        bar.set_postfix_str(text, refresh=False)
        bar.update(max(0.0, share - bar.n))

    return show, bar.close
