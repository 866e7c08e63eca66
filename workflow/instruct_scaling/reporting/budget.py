"""Stage budget: what a study will cost, before it runs, and which figures are only assumed.

Training FLOPs per token are 6 N for full tuning (2 N forward, 4 N backward; Kaplan et al. 2020,
arXiv 2001.08361, section 2.1) and 4 N for LoRA (no gradient of the frozen weights); attention's
own share is left out, which is small at these lengths. A response costs 2 N per token.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from instruct_scaling.common.files import read_json, read_jsonl
from instruct_scaling.config.bases import PretrainedBase, TinyBase
from instruct_scaling.config.judges import LlmJudge
from instruct_scaling.config.recipe import Recipe
from instruct_scaling.config.runs import Run, all_runs, tuned_runs
from instruct_scaling.config.section import parse_section
from instruct_scaling.config.study import Study


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the plan. `basis` says whether the figure is measured, assumed or counted."""

    what: str
    amount: str
    basis: str


def base_parameters(base: TinyBase | PretrainedBase) -> float | None:
    """Number of parameters; None where neither the config nor the architecture gives it.

    BLOOM: embedding V H, its norm 2 H, per block 12 H^2 + 13 H, final norm 2 H (tied head).
    """
    if isinstance(base, PretrainedBase):
        return base.parameters
    width = base.hidden_size
    return base.vocab_size * width + 4 * width + base.layers * (12 * width**2 + 13 * width)


def tokens_seen(recipe: Recipe, scale: int, per_example: float) -> float:
    """Tokens that one run trains on, repeats counted; `per_example` tokens an example."""
    if recipe.epochs is not None:
        return recipe.epochs * scale * per_example
    assert recipe.steps is not None
    if recipe.batch_tokens is not None:
        return recipe.steps * recipe.batch_tokens
    assert recipe.batch_size is not None
    return recipe.steps * recipe.batch_size * per_example


def device_hours(flops: float, peak_tflops: float, mfu: float) -> float:
    """Hours of one device at a share `mfu` of its peak."""
    return flops / (peak_tflops * 1e12 * mfu) / 3600


def measured_tokens_per_example(results: Path) -> float | None:
    """Tokens per example over the runs that are already trained; None where there are none."""
    tokens = examples = 0
    for path in results.glob("runs/*/n*/s*/train.json"):
        record = read_json(path)
        tokens += record["tokens"]["total"]
        examples += record["examples_seen"]
    return tokens / examples if examples else None


def eval_items(study: Study, results: Path) -> tuple[int | None, str]:
    """Number of eval items and where it is known from."""
    built = results / "evalset" / "items.jsonl"
    if built.exists():
        return sum(1 for _ in read_jsonl(built)), "counted"
    if all(source.type == "synthetic" for source in study.evalset.sources):
        categories = len(study.evalset.categories or range(12))
        return sum(s.items_per_category for s in study.evalset.sources) * categories, "counted"
    if study.budget.eval_items is not None:
        return study.budget.eval_items, "assumed until stage evalset has run"
    return None, "unknown until stage evalset has run; give `budget.eval_items`"


def plan(study: Study, results: Path) -> list[Line]:
    """The lines of a study's budget."""
    tuned, runs = tuned_runs(study), all_runs(study)
    lines = [
        Line("runs to fine-tune", f"{len(tuned)}", "counted"),
        Line("models that answer the eval set", f"{len(runs)}", "counted"),
    ]
    snapshots = len(tuned) * len(study.intermediate_checkpoints.fractions)
    if snapshots:
        lines.append(Line("snapshots along the runs that answer it too", f"{snapshots}", "counted"))
    lines += _training_lines(study, tuned, results)
    items, basis = eval_items(study, results)
    if items is None:
        return [*lines, Line("eval items", "?", basis)]
    lines.append(Line("eval items", f"{items:,}", basis))
    responses = items * (len(runs) + snapshots)
    lines.append(Line("responses", f"{responses:,}", basis))
    return lines + _judge_lines(study, responses, basis)


def _training_lines(study: Study, tuned: list[Run], results: Path) -> list[Line]:
    assumed = study.budget
    per_example = measured_tokens_per_example(results)
    basis = "measured on finished runs" if per_example else "assumed"
    per_example = per_example or assumed.tokens_per_example
    tokens = flops = 0.0
    unknown = set()
    for run in tuned:
        arm = study.arms[run.arm]
        seen = tokens_seen(arm.recipe_at(run.scale), run.scale, per_example)
        tokens += seen
        parameters = base_parameters(study.bases[arm.base])
        if parameters is None:
            unknown.add(arm.base)
            continue
        flops += (6 if arm.recipe.tuning.method == "full" else 4) * parameters * seen
    lines = [
        Line("tokens per example", f"{per_example:,.0f}", basis),
        Line("tokens to train on", f"{tokens:,.0f}", basis),
    ]
    if unknown:
        names = ", ".join(sorted(unknown))
        return [*lines, Line("training FLOPs", "?", f"give `parameters` of base {names}")]
    hours = device_hours(flops, assumed.device_peak_tflops, assumed.mfu)
    speed = f"assumed {assumed.device_peak_tflops:g} TFLOP/s peak at MFU {assumed.mfu:g}"
    lines.append(Line("training FLOPs", f"{flops:.3g}", f"6 N or 4 N per token, tokens {basis}"))
    lines.append(Line("device hours of training", f"{hours:,.1f}", speed))
    if assumed.dollars_per_device_hour is not None:
        money = hours * assumed.dollars_per_device_hour
        lines.append(Line("dollars of training", f"{money:,.0f}", "from the two lines above"))
    return lines


def _judge_lines(study: Study, responses: int, basis: str) -> list[Line]:
    lines = []
    for name, judge in study.judges.items():
        if not isinstance(judge, LlmJudge):
            lines.append(Line(f"judge {name}", f"{responses:,} scores", "local, no calls"))
            continue
        calls = responses * judge.repeats
        lines.append(Line(f"judge {name}", f"{calls:,} calls", basis))
        prompt = calls * study.budget.tokens_per_judge_prompt
        answer = calls * study.budget.tokens_per_judgement
        lines.append(Line(f"judge {name}: tokens", f"{prompt + answer:,.0f}", "assumed lengths"))
        prices = (
            judge.dollars_per_million_prompt_tokens,
            judge.dollars_per_million_completion_tokens,
        )
        if prices[0] is not None and prices[1] is not None:
            money = (prompt * prices[0] + answer * prices[1]) / 1e6
            lines.append(Line(f"judge {name}: dollars", f"{money:,.2f}", "assumed lengths"))
    return lines


def as_text(study: Study, lines: list[Line]) -> str:
    """The plan as an aligned table."""
    scales = ", ".join(f"{scale:,}" for scale in study.ladder.values())
    base = " and the base" if study.ladder.base else ""
    head = (
        f"Plan of study {study.study!r}: scales {scales}{base}; "
        f"{len(study.arms)} arm(s); {len(study.seeds.replicates)} seed(s)"
    )
    wide = max(len(line.what) for line in lines)
    amount = max(len(line.amount) for line in lines)
    rows = [f"  {x.what:<{wide}}  {x.amount:>{amount}}  ({x.basis})" for x in lines]
    return "\n".join([head, *rows])


def budget(
    study_config: Annotated[str, typer.Option(help="The whole study as JSON.")],
    results: Annotated[Path, typer.Option(help="Results folder of the study.")],
) -> None:
    """Print what a study will cost and which figures are only assumed."""
    study = parse_section(Study, study_config, "--study-config")
    print(as_text(study, plan(study, results)))
