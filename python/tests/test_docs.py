"""docs/python.md runs as it stands, but for blocks that say what they need."""

import os
import re

import pytest

PAGE = os.path.join(os.path.dirname(__file__), "..", "..", "docs", "python.md")
BLOCK = re.compile(r"(<!-- not run: [^>]*-->\n)?```python\n(.*?)```", re.S)


def test_the_page_runs(tmp_path, monkeypatch):
    if not os.path.exists(PAGE):
        pytest.skip("not in a clone")
    monkeypatch.chdir(tmp_path)
    with open(PAGE, encoding="utf-8") as file:
        blocks = BLOCK.findall(file.read())
    names = {}
    run = 0
    for not_run, code in blocks:
        if not_run:
            compile(code, PAGE, "exec")
            continue
        exec(compile(code, PAGE, "exec"), names)
        run += 1
    assert run >= 6
    assert len(names["results"]) == 8
