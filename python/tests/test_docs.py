"""docs/python.md runs as it stands, but for blocks that say what keeps them from it."""

import importlib.util
import os
import re

import pytest

PAGE = os.path.join(os.path.dirname(__file__), "..", "..", "docs", "python.md")
BLOCK = re.compile(r"(?:<!-- (not run|needs)(:? [^>]*)-->\n)?```python\n(.*?)```", re.S)


@pytest.mark.filterwarnings("ignore")
def test_the_page_runs(tmp_path, monkeypatch):
    """Blocks that need a library run wherever it is."""
    if not os.path.exists(PAGE):
        pytest.skip("not in a clone")
    monkeypatch.chdir(tmp_path)
    with open(PAGE, encoding="utf-8") as file:
        blocks = BLOCK.findall(file.read())
    names = {}
    run = with_torch = 0
    for condition, what, text in blocks:
        code = compile(text, PAGE, "exec")
        needed = [n.strip() for n in what.split(",")] if condition == "needs" else []
        if condition == "not run" or any(importlib.util.find_spec(n) is None for n in needed):
            continue
        exec(code, names)
        run += 1
        with_torch += "torch" in needed
    assert run >= 8
    assert len(names["results"]) == 8
    if importlib.util.find_spec("torch"):
        assert with_torch >= 4
