"""Small eval sets and responses for the judges."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from instruct_scaling.common.files import write_jsonl
from instruct_scaling.common.records import EvalItem, Response, content_id
from instruct_scaling.evaluation.judge.stage import judge as judge_stage


def answer(item: EvalItem, text: str, scale: int = 100) -> Response:
    """The response of run (full, scale, seed 1) to an item."""
    return Response(
        id=content_id("full", str(scale), "1", item.id, text),
        item=item.id,
        category=item.category,
        arm="full",
        scale=scale,
        seed=1,
        text=text,
        prompt_tokens=3,
        tokens=4,
        finish="stop",
    )


def call_stage(options: dict[str, Any], judge: dict[str, Any]) -> None:
    """Run the stage in this process, with the options of its command line."""
    named = {name.removeprefix("--"): value for name, value in options.items()}
    judge_stage(judge=json.dumps(judge), **named)


@pytest.fixture
def write_study(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Writes items and one run's responses; gives the options of the judge's command line."""

    def write(pairs: list[tuple[EvalItem, str]]) -> dict[str, Any]:
        write_jsonl(tmp_path / "items.jsonl", [item.to_row() for item, _ in pairs])
        rows = [answer(item, text).to_row() for item, text in pairs]
        write_jsonl(tmp_path / "responses.jsonl", rows)
        return {
            "--items": tmp_path / "items.jsonl",
            "--responses": tmp_path / "responses.jsonl",
            "--work": tmp_path / "work",
            "--out": tmp_path / "judgements" / "j.jsonl",
            "--name": "j",
            "--seed": 7,
        }

    return write
