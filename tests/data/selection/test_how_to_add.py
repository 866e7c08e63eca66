"""The selection of docs/how-to-add.md: its code is short, runs, and has the properties of all."""

from __future__ import annotations

import re
from collections import Counter

import pyarrow as pa
import pytest

from instruct_scaling.common.errors import InputError
from instruct_scaling.config import selection as config
from instruct_scaling.data.selection import by_order, by_share
from instruct_scaling.data.selection.candidates import Candidates
from instruct_scaling.data.selection.select import KINDS, select

IDS = [f"{number:032x}" for number in range(90)]
LABELS = ["common" if number % 9 else "rare" for number in range(90)]


@pytest.fixture
def capped(root, monkeypatch):
    """The section's class, with its function registered as the section says."""
    text = (root / "docs" / "how-to-add.md").read_text("utf-8")
    part = text.split("## A selection\n")[1].split("\n## ")[0]
    blocks = re.findall(r"```python\n(.*?)```", part, re.DOTALL)
    assert sum(block.count("\n") for block in blocks) <= 40
    scope = {"__name__": "example"} | vars(config) | vars(by_share) | vars(by_order)
    scope["__builtins__"] = __builtins__
    for block in blocks:
        exec(compile(block, "how-to-add.md", "exec", dont_inherit=True), scope)
    monkeypatch.setitem(KINDS, "capped", scope["capped"])
    return scope["CappedSelection"](type="capped", by="source", most=20)


def draw(selection, scale, ids=IDS, labels=LABELS):
    found = select(selection, Candidates(pa.array(ids), pa.array(labels)), scale, 3)
    return [ids[row] for row in found.rows.tolist()]


def test_the_example_works(capped):
    counts = Counter(LABELS[IDS.index(one)] for one in draw(capped, 30))
    assert counts == {"common": 20, "rare": 10}
    for scale in (1, 8, 29):
        assert draw(capped, scale) == draw(capped, 30)[:scale]
    assert draw(capped, 30, IDS[::-1], LABELS[::-1]) == draw(capped, 30)
    with pytest.raises(InputError, match="the largest possible scale is 30"):
        draw(capped, 31)
