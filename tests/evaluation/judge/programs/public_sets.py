"""Items of HumanEval and MBPP, as an eval set has them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from instruct_scaling.common.records import EvalItem
from instruct_scaling.data.evalset.helpers import helpers_in


@dataclass(frozen=True)
class Problem:
    """`empty` is the program of an answer that has the function's head and nothing of its body."""

    name: str
    item: EvalItem
    empty: str


def humaneval(path: Path) -> Iterator[Problem]:
    """The 164 problems of HumanEval.jsonl.gz."""
    with gzip.open(path, "rt", encoding="utf-8") as handle:
        for line in handle:
            row = json.loads(line)
            checks = {"tests": f"{row['test']}\ncheck({row['entry_point']})"}
            helpers = helpers_in(row["prompt"])
            item = EvalItem.make(
                "code",
                row["prompt"],
                reference=row["prompt"] + row["canonical_solution"],
                checks=checks | ({"helpers": helpers} if helpers else {}),
            )
            yield Problem(row["task_id"], item, row["prompt"] + "    return None\n")


def mbpp(path: Path) -> Iterator[Problem]:
    """The 974 problems of mbpp.jsonl."""
    for line in path.read_text("utf-8").splitlines():
        row = json.loads(line)
        tests = "\n".join([row["test_setup_code"], *row["test_list"]]).replace("\r\n", "\n")
        item = EvalItem.make("code", row["text"], reference=row["code"], checks={"tests": tests})
        yield Problem(f"MBPP/{row['task_id']}", item, "def nothing():\n    return None")
