"""A small finished study on disk, file by file as the other stages write them."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.image import imsave

from analysis.tables import frame, write_tables
from instruct_scaling.common.categories import CATEGORIES
from instruct_scaling.common.files import write_json, write_jsonl
from instruct_scaling.common.provenance import provenance
from instruct_scaling.common.records import EvalItem, Judgement, Response
from instruct_scaling.config.runs import answering_runs, write_runs
from instruct_scaling.config.study import Study

HOSTILE = '<script>window.hacked = true</script><img src="x" onerror="window.hacked = true">'
QUESTIONS = {
    "math": ("小明有 12 个苹果，给了小红 5 个，又买了 3 个。他现在有几个苹果？", "10"),
    "translation": ("Translate into Chinese: The river is deep.", "这条河很深。"),
    "classification": ("Sort the word into fruit or tool: hammer", "tool"),
    "summarization": ("Summarize: the meeting was moved from Monday to Thursday.", "It moved."),
}


@dataclass
class ExampleStudy:
    """Where the files of the study are, and how the report stage is called on them."""

    folder: Path
    arms: tuple[str, ...] = ("full", "lora")
    scales: tuple[int, ...] = (250, 1000, 4000, 16000)
    seeds: tuple[int, ...] = (1, 2)
    categories: tuple[str, ...] = CATEGORIES
    items_per_category: int = 5
    items: list[EvalItem] = field(default_factory=list)

    @property
    def config(self) -> dict[str, Any]:
        """The study's config."""
        recipe = {"epochs": 3, "learning_rate": 0.001, "precision": "fp32", "max_length": 128}
        tunings = {"full": {"method": "full"}, "lora": {"method": "lora"}}
        return {
            "study": "example",
            "pools": {"synthetic": {"sources": [{"type": "synthetic"}]}},
            "bases": {"tiny": {"type": "tiny"}},
            "arms": {
                arm: {
                    "base": "tiny",
                    "pool": "synthetic",
                    "recipe": {**recipe, "tuning": tunings.get(arm, {"method": "full"})},
                }
                for arm in self.arms
            },
            "ladder": {"scales": list(self.scales)},
            "seeds": {"replicates": list(self.seeds)},
            "evalset": {
                "sources": [{"type": "synthetic"}],
                "categories": list(self.categories),
            },
            "judges": {"metric": {"type": "metric"}},
        }

    @property
    def out(self) -> Path:
        """Where the page goes."""
        return self.folder / "report.html"

    def files(self, pattern: str) -> list[Path]:
        """Files of the study, sorted."""
        return sorted(self.folder.glob(pattern))

    def arguments(self) -> list[str]:
        """Command line arguments of the report stage."""
        paths = {
            "--runs": "runs.csv",
            "--tables": "tables",
            "--figures": "figures",
            "--pool-audit": "pools/synthetic/audit.json",
            "--evalset-items": "evalset/items.jsonl",
            "--evalset-audit": "evalset/audit.json",
            "--out": "report.html",
        }
        given = [(option, str(self.folder / path)) for option, path in paths.items()]
        return ["--study-config", json.dumps(self.config), *chain.from_iterable(given)]


def write_example(study: ExampleStudy) -> ExampleStudy:
    """Write every file that the report reads."""
    study.items = [
        _item(category, number)
        for category in study.categories
        for number in range(study.items_per_category)
    ]
    write_jsonl(study.folder / "evalset/items.jsonl", [item.to_row() for item in study.items])
    write_json(study.folder / "evalset/audit.json", _evalset_audit(study))
    write_json(study.folder / "pools/synthetic/audit.json", pool_audit())
    config = Study(**study.config)
    write_runs(study.folder / "runs.csv", config)
    for run in answering_runs(config):
        _write_run(study, run.arm, run.scale, run.seed)
    tables = {
        "curves": _curves(study),
        "verdicts": _verdicts(study),
        "sufficient": _sufficient(study),
        "base_comparison": _base_comparison(study),
        "decisions": _decisions(),
    }
    write_tables(tables, study.folder / "tables")
    write_figures(study.folder / "figures")
    return study


def _item(category: str, number: int) -> EvalItem:
    prompt, reference = QUESTIONS.get(category, (f"A {category} question & its <details>", "yes"))
    return EvalItem.make(
        category,
        f"{prompt} ({number})",
        reference=reference if category != "brainstorming" else None,
        checks={"labels": ["fruit", "tool"]} if category == "classification" else None,
        language="zh" if category == "math" else "en",
    )


def _write_run(study: ExampleStudy, arm: str, scale: int, seed: int) -> None:
    folder = study.folder / f"runs/{arm}/n{scale}/s{seed}"
    responses = [_response(item, arm, scale, seed) for item in study.items]
    judgements = [_judgement(row, number) for number, row in enumerate(responses)]
    write_jsonl(folder / "responses.jsonl", [row.to_row() for row in responses])
    write_jsonl(folder / "judgements/metric.jsonl", [row.to_row() for row in judgements])
    if scale:
        write_json(folder / "train.json", train_summary(arm, scale, seed))


def _response(item: EvalItem, arm: str, scale: int, seed: int) -> Response:
    text = f"{item.reference or 'an idea'} says {arm} at {scale} with seed {seed}"
    if item.category == "code":
        text = HOSTILE
    if item.category == "cot":
        text = "" if scale == 0 else "First this, then that. " * (scale // 100)
    if item.category == "math":
        text = f"小明现在有 {scale % 7} 个苹果。"
    finish = "length" if scale == 0 else "stop"
    row_id = f"{item.id}-{arm}-{scale}-{seed}"
    return Response(row_id, item.id, item.category, arm, scale, seed, text, 20, 30, finish)


def _judgement(row: Response, number: int) -> Judgement:
    failed = row.category == "brainstorming" and number % 2 == 0
    score = None if failed else round(random.Random(row.id).random(), 3)
    return Judgement(
        item=row.item,
        response=row.id,
        judge="metric",
        judge_version="1",
        repeat=1,
        score=score,
        status="no_reference" if failed else "ok",
        reason="the item has no reference" if failed else None,
    )


def pool_audit() -> dict[str, Any]:
    """An audit as the pool stage writes it."""
    packages = {"numpy": "0.1", "pandas": pd.__version__, "not-installed": "1"}
    example = {"id": "ab" * 16, "source": "synthetic", "row": 7, "instruction": HOSTILE}
    return {
        "read": 24000,
        "kept": 21500,
        "removed": 2500,
        "broken": 0,
        "steps": [
            {
                "name": "read",
                "read": 24000,
                "kept": 24000,
                "removed": 0,
                "broken": 0,
                "reasons": {"broken": {"count": 0}},
            },
            {
                "name": "deduplicate",
                "read": 24000,
                "kept": 21600,
                "removed": 2400,
                "broken": 0,
                "reasons": {"exact": {"count": 2400, "examples": [example]}},
            },
            {
                "name": "decontaminate",
                "read": 21600,
                "kept": 21500,
                "removed": 100,
                "broken": 0,
                "reasons": {"ngram": {"count": 100, "examples": []}},
            },
        ],
        "by_category": {"math": 1800, "code": 1700},
        "characters": {"output": {"min": 1, "median": 20.5, "max": 180}},
        "data_hash": "0123456789abcdef" * 4,
        "provenance": {"stage": "pool", "instruct_scaling": "0.0.1", "packages": packages},
    }


def _evalset_audit(study: ExampleStudy) -> dict[str, Any]:
    return {
        "read": len(study.items) + 3,
        "removed": 1,
        "broken": 2,
        "kept": len(study.items),
        "by_category": {
            name: {"items": study.items_per_category, "with_reference": 5}
            for name in study.categories
        },
    }


def train_summary(arm: str, scale: int, seed: int) -> dict[str, Any]:
    """A train.json with the figures that the fine-tuning stage writes."""
    identity = {"arm": arm, "scale": scale, "seed": seed}
    seconds = scale / 400
    return {
        "steps": scale * 3 // 64,
        "examples_seen": scale * 3,
        "tokens": {"total": scale * 120, "supervised": scale * 40},
        "loss": {"first": 5.0, "last": 1.234, "mean": 2.0, "curve": [[1, 5.0]]},
        "parameters": {"total": 2_200_000, "trainable": 90_000 if arm == "lora" else 2_200_000},
        "seconds": {
            "startup": 3.3,
            "training": seconds,
            "validation": 0.8,
            "export": 1.0,
            "total": seconds + 5.1,
        },
        "tokens_per_second": scale * 120 / seconds,
        "peak_memory_bytes": {"per_rank": [6e8, 6e8], "sum": 1.2e9},
        "execution": {"ranks": 2, "device": "CPU (2 cores)"},
        "training_flops": 1e12,
        "mfu": None,
        "gpu_hours": None,
        "cpu_core_hours": 2 * (seconds + 5.1) / 3600,
        "provenance": provenance("finetune", identity, {}),
    }


def _curves(study: ExampleStudy) -> Any:
    rows = []
    for arm in study.arms:
        for position, category in enumerate((*study.categories, "overall")):
            for step, scale in enumerate((0, *study.scales)):
                top = 0.15 + 0.8 * ((position * 5) % 13) / 13 * (0.8 if arm == "lora" else 1)
                mean = top * step / len(study.scales)
                rows.append(
                    {
                        "judge": "metric",
                        "arm": arm,
                        "category": category,
                        "scale": scale,
                        "mean": mean,
                        "low": max(0.0, mean - 0.07),
                        "high": min(1.0, mean + 0.07),
                        "n_items": study.items_per_category,
                        "n_seeds": len(study.seeds) if scale else 1,
                        "n_missing": 2 if category == "brainstorming" else 0,
                        "noise": "items and runs",
                        "note": "greedy base: one run" if not scale else None,
                    }
                )
    return frame("curves", rows)


def _verdicts(study: ExampleStudy) -> Any:
    kinds = ("improving", "plateaued", "flat", "non-monotone", "undetermined")
    rows = []
    for arm in study.arms:
        for position, category in enumerate((*study.categories, "overall")):
            kind = kinds[position % len(kinds)]
            slope = {"improving": 0.05, "flat": 0.001}.get(kind, -0.004)
            row = {
                "judge": "metric",
                "arm": arm,
                "category": category,
                "verdict": kind,
                "ladder": "improved" if kind in ("improving", "plateaued") else "not shown",
                "tail_slope": slope,
                "tail_low": slope - 0.015,
                "tail_high": slope + 0.015,
                "margin": 0.02,
                "range_margin": 0.04,
                "n_items": study.items_per_category,
                "n_seeds": len(study.seeds),
                "rise": 0.3,
                "rise_low": 0.2,
                "rise_high": 0.4,
                "detectable": 0.024,
                "noise": "items and runs",
            }
            if kind == "undetermined":
                row |= {"items_needed": 320, "seeds_needed": 3, "note": "too noisy to say"}
            if kind == "non-monotone":
                row |= {"drop_from": 1000, "drop_to": 4000, "drop": 0.12, "drop_bound": 0.05}
            rows.append(row)
    return frame("verdicts", rows)


def _sufficient(study: ExampleStudy) -> Any:
    """A scale that is enough, one that is not shown, and a category of which nothing is said."""
    rows = []
    for arm in study.arms:
        for position, category in enumerate((*study.categories, "overall")):
            row = {"judge": "metric", "arm": arm, "category": category, "margin": 0.04}
            row |= {"last_margin": 0.02, "n_items": 5, "n_seeds": 2, "noise": "items and seeds"}
            if position % 3 == 2:
                row["statement"] = f"no statement for {category}: all scores are equal"
            else:
                row |= {"gain": 0.01, "gain_upper": 0.03, "scale": 1000, "statement": "enough"}
                row |= {"last_gain": 0.011, "last_low": -0.01, "last_high": 0.032, "p_last": 0.3}
                row |= {"rise": 0.3, "run_sd": 0.02, "signal_to_noise": 15.0, "one_run_right": 1.0}
            if position % 3 == 1:
                row |= {"scale": None, "gain_upper": 0.07, "statement": "no scale is shown"}
            rows.append(row)
    return frame("sufficient", rows)


def _base_comparison(study: ExampleStudy) -> Any:
    key = {"judge": "metric", "other_shots": 0, "base_mean": 0.1, "mean": 0.5, "p_holm": 0.001}
    rows = [
        key
        | {"arm": arm, "category": category, "shots": shots, "scale": scale, "which": which}
        | {"difference": 0.4 - 0.03 * shots, "low": 0.3, "high": 0.5}
        for arm in study.arms
        for category in (*study.categories, "overall")
        for shots in (0, 5)
        for scale, which in ((250, "smallest"), (1000, "sufficient"), (16000, "largest"))
    ]
    return frame("base_comparison", rows)


def _decisions() -> Any:
    key = {"judge": "metric", "category": "overall", "largest": 16000, "n_pairs": 1}
    rows = [
        key | {"scale": scale, "accuracy": share, "low": share - 0.1, "high": share + 0.1}
        for scale, share in ((250, 0.6), (1000, 0.75), (4000, 0.88))
    ]
    best = {"best": "lora", "best_at_largest": "full"}
    return frame("decisions", [row | best for row in rows])


def write_figures(folder: Path) -> None:
    """Two pictures, one with its data, and a figure that was not drawn."""
    folder.mkdir(parents=True, exist_ok=True)
    shades = np.tile(np.linspace(0.3, 1.0, 400), (120, 1))
    for name in ("figure1_bars", "figure2_curves-metric"):
        imsave(folder / f"{name}.png", shades, cmap="Blues", vmin=0, vmax=1)
    (folder / "figure1_bars.csv").write_text("category,scale,mean\nmath,250,0.125\nmath,1000,\n")
    entry = {"name": "figure1_bars", "figure": "figure1_bars", "title": "Score by category"}
    other = {"name": "figure2_curves-metric", "figure": "figure2_curves", "title": "Curves"}
    index = {
        "figures": [
            {**entry, "files": ["figure1_bars.csv", "figure1_bars.pdf", "figure1_bars.png"]},
            {**other, "judge": "metric", "files": ["figure2_curves-metric.png"]},
        ],
        "skipped": [{"figure": "figure5_arms", "reason": "the study has one arm"}],
    }
    write_json(folder / "index.json", index)
