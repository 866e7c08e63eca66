"""The plan of a study before it runs: jobs, device hours, money and disk space.

Every line says how its figure is known: counted from the config, measured on what is already
there, or assumed (section `budget` of the config).

Training FLOPs per token are 6 N where nearly all weights are trained (2 N forward, 4 N backward;
Kaplan et al. 2020, arXiv 2001.08361, section 2.1) and 4 N where most weights are frozen and get no
gradient; a generated token costs 2 N. Attention's own share is left out, which is small at these
lengths.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from instruct_scaling.common.categories import CATEGORIES
from instruct_scaling.common.files import read_json, read_jsonl
from instruct_scaling.config.bases import GgufBase, PretrainedBase, TinyBase
from instruct_scaling.config.judges import LlmJudge
from instruct_scaling.config.recipe import Recipe
from instruct_scaling.config.runs import (
    Run,
    annotation_base,
    answering_runs,
    removed_models,
    selections,
    subset_labels,
    token_store,
    tuned_runs,
    used_annotations,
    used_pools,
)
from instruct_scaling.config.section import parse_section
from instruct_scaling.config.selection import StagedSelection
from instruct_scaling.config.study import Arm, Study

FLOPS_PER_PARAMETER = {"full": 6, "frozen_embedding": 6, "lora": 4, "embedding": 4}
TRAINED_SHARE = {"full": 1.0, "frozen_embedding": 1.0, "lora": 0.01, "embedding": 0.3}
"""Share of the weights that a checkpoint holds; rough where most are frozen."""
STORED_BYTES = {"fp32": 4, "bf16": 2, "fp16": 2}
OPTIMIZER_BYTES = 12  # fp32 master weight and two Adam moments
CHECKPOINTS_KEPT = 2
BYTES_PER_TOKEN = 4  # of stored text
BYTES_PER_ROW = 300  # keys, ids and numbers of a JSON row
WIDTH = 100


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the plan. `basis` says whether the figure is counted, measured or assumed."""

    what: str
    amount: str
    basis: str


def plan_text(study: Study, results: Path, again: Sequence[Run] = ()) -> str:
    """The plan as an aligned table.

    Args:
        study: the config.
        results: the study's results folder; it need not exist.
        again: runs that are done and will be trained again.
    """
    lines = plan_lines(study, results) + again_lines(study, results, again)
    scales = ", ".join(f"{scale:,}" for scale in study.ladder.values())
    base = " and the base" if study.ladder.base else ""
    head = (
        f"Plan of study {study.study!r}: scales {scales}{base}; "
        f"{len(study.arms)} arm(s); {len(study.seeds.labels)} seed(s)"
    )
    wide = max(len(line.what) for line in lines)
    amount = max(len(line.amount) for line in lines)
    rows = [
        textwrap.fill(
            f"  {line.what:<{wide}}  {line.amount:>{amount}}  ({line.basis})",
            max(WIDTH, wide + amount + 40),
            subsequent_indent=" " * (wide + amount + 7),
            break_on_hyphens=False,
        )
        for line in lines
    ]
    return "\n".join([head, *rows])


def plan_lines(study: Study, results: Path) -> list[Line]:
    """The lines of a study's plan; see `plan_text`."""
    items, items_basis = eval_items(study, results)
    answering = len(answering_runs(study))
    snapshots = len(tuned_runs(study)) * len(study.intermediate_checkpoints.fractions)
    responses = None if items is None else items * (answering + snapshots)
    stages = jobs(study)
    lines = [
        Line(
            "jobs",
            f"{sum(stages.values()):,}",
            "counted: " + ", ".join(f"{stage} {n:,}" for stage, n in stages.items()),
        ),
        Line("runs to fine-tune", f"{len(tuned_runs(study)):,}", "counted"),
        Line("models that answer the eval set", f"{answering:,}", "counted"),
    ]
    if snapshots:
        lines.append(Line("intermediate checkpoints that answer it", f"{snapshots:,}", "counted"))
    lines += _training_lines(study, results)
    if responses is None:
        lines.append(Line("eval items", "?", items_basis))
    else:
        lines.append(Line("eval items", f"{items:,}", items_basis))
        lines.append(Line("responses", f"{responses:,}", items_basis))
        lines.append(_generation_line(study, responses))
        lines += _judge_lines(study, responses, items_basis)
    return lines + _disk_lines(study, results, responses)


def jobs(study: Study) -> dict[str, int]:
    """Jobs of each stage if nothing is done yet, in the order of the pipeline."""
    pools = {arm.pool for arm in study.arms.values()}
    tuned, answering, judges = len(tuned_runs(study)), len(answering_runs(study)), len(study.judges)
    percents = len(study.intermediate_checkpoints.fractions)
    validated = int(study.validation.records > 0)
    counted = {
        "evalset": 1,
        "pool": len(used_pools(study)),
        "validation_set": len(pools) * validated,
        "subset": len(selections(study)) * len(study.ladder.values()) * len(subset_labels(study)),
        "base": len(_used_bases(study)),
        "tokens": len({(arm.pool, token_store(study, name)) for name, arm in study.arms.items()}),
        "annotation": len(used_annotations(study)),
        "finetune": tuned,
        "few_shot": len(pools) * int(study.ladder.few_shot > 0),
        "generate": answering,
        "judge": answering * judges,
        "remove_models": sum(bool(removed_models(study, run)) for run in tuned_runs(study)),
        "generate_intermediate": tuned * percents,
        "judge_intermediate": tuned * percents * judges,
        "runs": 1,
        "subset_overlap": 1,
        "scores": 1,
        "intermediate_scores": int(percents > 0),
        "validation_loss": validated,
        "curves": 1,
        "costs": 1,
        "figures": 1,
        "report": 1,
    }
    return {stage: number for stage, number in counted.items() if number}


def _used_bases(study: Study) -> set[str]:
    """Bases of the arms, and those that annotations run."""
    run = {annotation_base(study, *one) for one in used_annotations(study)}
    return {arm.base for arm in study.arms.values()} | {name for name in run if name is not None}


def base_parameters(base: TinyBase | PretrainedBase | GgufBase) -> float | None:
    """Number of parameters; None where neither the config nor the architecture gives it.

    BLOOM: embedding V H, its norm 2 H, per block 12 H^2 + 13 H, final norm 2 H (tied head).
    """
    if isinstance(base, PretrainedBase | GgufBase):
        return base.parameters
    width = base.hidden_size
    return base.vocab_size * width + 4 * width + base.layers * (12 * width**2 + 13 * width)


def tokens_seen(
    recipe: Recipe, scale: int, per_example: float, shares: Sequence[float] = (1.0,)
) -> float:
    """Tokens that one run trains on, repeats counted; `per_example` tokens an example.

    Args:
        shares: of the records in each phase (`phase_shares`), which has passes of its own.
    """
    if recipe.epochs is not None:
        passes = sum(share * (recipe.epochs_in(phase) or 0.0) for phase, share in enumerate(shares))
        return passes * scale * per_example
    assert recipe.steps is not None
    if recipe.batch_tokens is not None:
        return recipe.steps * recipe.batch_tokens
    assert recipe.batch_size is not None
    return recipe.steps * recipe.batch_size * per_example


def phase_shares(arm: Arm) -> list[float]:
    """Share of a run's records in each phase of the order: as the selection states it, else
    equal (bands at quantiles are)."""
    selection, phases = arm.selection, len(arm.recipe.phases)
    if not isinstance(selection, StagedSelection) or selection.order == "mixed" or phases < 2:
        return [1.0]
    shares = selection.shares
    if isinstance(shares, dict) and len(shares) == phases:
        order = selection.order if isinstance(selection.order, list) else _in_order(shares)
        if selection.order == "descending":
            order = order[::-1]
        return [shares.get(name, 1 / phases) for name in order]
    return [1 / phases] * phases


def _in_order(names: Iterable[str]) -> list[str]:
    """Bands by their number, values by name."""
    try:
        return sorted(names, key=float)
    except ValueError:
        return sorted(names)


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
        categories = len(study.evalset.categories or CATEGORIES)
        return sum(s.items_per_category for s in study.evalset.sources) * categories, "counted"
    if study.budget.eval_items is not None:
        return study.budget.eval_items, "assumed until stage evalset has run"
    return None, "unknown until stage evalset has run; set budget.eval_items"


def _training_lines(study: Study, results: Path) -> list[Line]:
    assumed = study.budget
    per_example = measured_tokens_per_example(results)
    basis = "measured on finished runs" if per_example else "assumed"
    per_example = per_example or assumed.tokens_per_example
    tokens = flops = 0.0
    for run in tuned_runs(study):
        tokens += run_tokens(study, run, per_example)
        flops += run_flops(study, run, per_example)
    lines = [
        Line("tokens per example", f"{per_example:,.0f}", basis),
        Line("tokens to train on", f"{tokens:,.0f}", basis),
    ]
    unknown = _bases_of_unknown_size(study)
    if unknown:
        return [*lines, Line("training FLOPs", "?", f"set `parameters` of base {unknown}")]
    lines.append(Line("training FLOPs", f"{flops:.3g}", f"6 N or 4 N per token, tokens {basis}"))
    speed = f"assumed {assumed.device_peak_tflops:g} TFLOP/s peak at MFU {assumed.mfu:g}"
    hours = device_hours(flops, assumed.device_peak_tflops, assumed.mfu)
    lines.append(Line("device hours of training", _hours(hours), f"{speed}; steps only"))
    if assumed.dollars_per_device_hour is not None:
        money = hours * assumed.dollars_per_device_hour
        lines.append(Line("dollars of training", f"{money:,.0f}", "from the two lines above"))
    return lines


def run_tokens(study: Study, run: Run, per_example: float) -> float:
    """Tokens that a run trains on, repeats counted."""
    arm = study.arms[run.arm]
    return tokens_seen(arm.recipe_at(run.scale), run.scale, per_example, phase_shares(arm))


def run_flops(study: Study, run: Run, per_example: float) -> float:
    """Training FLOPs of a run; 0 for a base of unknown size."""
    arm = study.arms[run.arm]
    parameters = base_parameters(study.bases[arm.base]) or 0.0
    per_token = FLOPS_PER_PARAMETER[arm.recipe.tuning.method] * parameters
    return per_token * run_tokens(study, run, per_example)


def training_device_hours(study: Study, run: Run, per_example: float) -> float | None:
    """Device hours of a run's steps as the config assumes peak and MFU; None for a base of unknown
    size."""
    if base_parameters(study.bases[study.arms[run.arm].base]) is None:
        return None
    flops = run_flops(study, run, per_example)
    return device_hours(flops, study.budget.device_peak_tflops, study.budget.mfu)


def again_lines(study: Study, results: Path, again: Sequence[Run]) -> list[Line]:
    """What it costs to train runs again that are done."""
    if not again:
        return []
    gone = sum(not (results / run.folder / "model").is_dir() for run in again)
    per_example = measured_tokens_per_example(results) or study.budget.tokens_per_example
    hours = [training_device_hours(study, run, per_example) for run in again]
    cost = "?" if None in hours else _hours(sum(hour or 0.0 for hour in hours))
    basis = f"counted; the models of {gone:,} are not kept (`models: {study.models}`)"
    return [
        Line("runs to train AGAIN", f"{len(again):,}", basis),
        Line("device hours of training again", cost, "as above"),
    ]


def _bases_of_unknown_size(study: Study) -> str:
    used = {arm.base for arm in study.arms.values()}
    return ", ".join(sorted(name for name in used if base_parameters(study.bases[name]) is None))


def _generation_line(study: Study, responses: int) -> Line:
    tokens = responses * response_tokens(study)
    return Line("tokens to generate", f"{tokens:,.0f}", "assumed length of a response")


def response_tokens(study: Study) -> float:
    """Assumed tokens of a response."""
    return min(study.budget.tokens_per_response, study.generate.max_new_tokens)


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


def _disk_lines(study: Study, results: Path, responses: int | None) -> list[Line]:
    """Space that the study fills: models and text for good, checkpoints while a run trains."""
    lines = []
    unknown = _bases_of_unknown_size(study)
    if unknown:
        lines.append(Line("disk: models", "?", f"set `parameters` of base {unknown}"))
    else:
        models = sum(kept_model_bytes(study, run) for run in tuned_runs(study))
        basis = "counted: parameters x bytes of the precision x models kept"
        if study.models != "keep":
            basis += f" (`models: {study.models}`), and those that have not answered yet"
        lines.append(Line("disk: models", size_text(models), basis))
        training = max(_checkpoint_bytes(study, arm) for arm in study.arms)
        basis = f"{CHECKPOINTS_KEPT} checkpoints of each run in training, removed at its end"
        lines.append(Line("disk: checkpoints", size_text(training), basis))
    lines.append(Line("disk: pools", *_pool_size(study, results)))
    if responses is not None:
        repeats = sum(getattr(judge, "repeats", 1) for judge in study.judges.values())
        text = response_tokens(study) * BYTES_PER_TOKEN + BYTES_PER_ROW * (1 + repeats)
        basis = "assumed length of a response"
        lines.append(Line("disk: responses, judgements", size_text(responses * text), basis))
    return lines


def kept_model_bytes(study: Study, run: Run) -> float:
    """Bytes of the models of a run that stay, intermediate checkpoints included."""
    made = 1 + len(study.intermediate_checkpoints.fractions)
    return (made - len(removed_models(study, run))) * _model_bytes(study, run)


def _model_bytes(study: Study, run: Run) -> float:
    arm = study.arms[run.arm]
    return (base_parameters(study.bases[arm.base]) or 0.0) * STORED_BYTES[arm.recipe.precision]


def _checkpoint_bytes(study: Study, name: str) -> float:
    """Of all checkpoints that a run of an arm keeps while it trains."""
    arm = study.arms[name]
    trained = TRAINED_SHARE[arm.recipe.tuning.method] * (
        base_parameters(study.bases[arm.base]) or 0.0
    )
    return CHECKPOINTS_KEPT * trained * (STORED_BYTES[arm.recipe.precision] + OPTIMIZER_BYTES)


def _pool_size(study: Study, results: Path) -> tuple[str, str]:
    """Size of the pools as built, or at least that of the largest scale's records."""
    pools = {arm.pool for arm in study.arms.values()}
    folders = [results / "pools" / pool for pool in pools]
    if all((folder / "audit.json").exists() for folder in folders):
        return size_text(sum(_folder_bytes(folders))), "measured"
    records = max(study.ladder.values()) + study.validation.records
    size = len(pools) * records * study.budget.tokens_per_example * BYTES_PER_TOKEN
    return size_text(size), "at least; assumed length of a record"


def _folder_bytes(folders: Iterable[Path]) -> Iterable[int]:
    for folder in folders:
        yield from (path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _hours(hours: float) -> str:
    return f"{hours:,.1f}" if hours >= 1 else f"{hours:.2g}"


def size_text(count: float) -> str:
    """Bytes as a text such as "1.2 GB"; decimal units."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:,.3g} TB" if count < 1000 else f"{count:,.0f} TB"


def budget(
    study_config: Annotated[str, typer.Option(help="The whole study as JSON.")],
    results: Annotated[Path, typer.Option(help="Results folder of the study.")],
) -> None:
    """Print what a study costs: jobs, device hours, money, disk, and which figures are assumed."""
    print(plan_text(parse_section(Study, study_config, "--study-config"), results))
