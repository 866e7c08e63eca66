"""How the study was done, in a paragraph made from its config."""

from __future__ import annotations

from typing import Any

from instruct_scaling.config.bases import Base, TinyBase
from instruct_scaling.config.judges import Judge, LlmJudge
from instruct_scaling.config.recipe import ByScale, LoraTuning, Recipe
from instruct_scaling.config.study import Study
from instruct_scaling.reporting.report.context import Table
from instruct_scaling.reporting.report.results import VerdictTable
from instruct_scaling.reporting.report.wording import count, level, listing, plain, plural, words


def method(study: Study, verdicts: list[VerdictTable], clusters: str = "") -> list[str]:
    """Sentences, one paragraph each: data and ladder, tuning, answers and judges, analysis.

    Args:
        study: the config.
        verdicts: may be empty.
        clusters: of the eval items, as `clusters_told` says it; empty if there are none.
    """
    return [
        _data(study),
        *(_tuning(name, study) for name in study.arms),
        _asking(study),
        _analysis(study, verdicts, clusters),
    ]


def analysis_options(study: Study) -> Table:
    """Every option of the analysis with its value and meaning."""
    fields = type(study.analysis).model_fields
    rows = [
        [
            words(name),
            plain(getattr(study.analysis, name)),
            (field.description or "").replace("\n", " "),
        ]
        for name, field in fields.items()
    ]
    return Table(["option", "value", "meaning"], rows)


def base_name(base: Base) -> str:
    """A base model in a few words."""
    if isinstance(base, TinyBase):
        return (
            f"a BLOOM of {base.layers} layers and width {base.hidden_size}, built and trained on "
            f"plain text for this study ({count(base.steps)} steps)"
        )
    return base.model + (f" at revision {base.revision}" if base.revision else "")


def _data(study: Study) -> str:
    scales = listing(count(scale) for scale in study.ladder.values())
    nested = "nested" if "subset" in study.seeds.vary or len(study.seeds.replicates) == 1 else ""
    pools = listing(f"“{name}”" for name in study.pools)
    return (
        f"From the {'pool' if len(study.pools) == 1 else 'pools'} {pools}, subsets of {scales} "
        f"records were drawn by a keyed hash of each record"
        f"{'; those of one seed are nested' if nested else ', the same subsets for every seed'}. "
        f"There {'is' if len(study.seeds.replicates) == 1 else 'are'} "
        f"{plural(len(study.seeds.replicates), 'seed')} per scale "
        f"(labels {plain(study.seeds.replicates)}, study seed {study.seeds.study}); what varies "
        f"between seeds: {listing(study.seeds.vary) or 'nothing'}."
        f"{_before(held_out(study, 'each pool' if len(study.pools) > 1 else 'the pool'))}"
    )


def held_out(study: Study, whose: str) -> str:
    """The records that are kept from every run, in a sentence; empty if there are none."""
    records = study.validation.records
    if not records:
        return ""
    return (
        f"{plural(records, 'record')} of {whose}, in equal shares of its categories, "
        f"{'is' if records == 1 else 'are'} held out: no run trains on them, and the loss on them "
        "is measured along every run."
    )


def _before(sentence: str) -> str:
    return f" {sentence}" if sentence else ""


def _tuning(name: str, study: Study) -> str:
    arm = study.arms[name]
    recipe = arm.recipe
    return (
        f"Arm “{name}”: {base_name(study.bases[arm.base])} was tuned on pool “{arm.pool}” with "
        f"{_what_is_tuned(recipe)}, loss on the answer only; {_batch(recipe)}, "
        f"{_amount(recipe)}, AdamW with learning rate {recipe.learning_rate:g} "
        f"({recipe.schedule}, warm-up {recipe.warmup_ratio:g} of the steps), weight decay "
        f"{recipe.weight_decay:g}, {recipe.precision}, at most {count(recipe.max_length)} tokens."
        f"{_by_scale(arm.by_scale)}"
    )


def _batch(recipe: Recipe) -> str:
    if recipe.batch_size is not None:
        return f"batch {count(recipe.batch_size)} examples"
    return f"batch at most {count(recipe.batch_tokens)} tokens"


def _by_scale(law: ByScale | None) -> str:
    """What changes with the scale beside the data."""
    if law is None:
        return ""
    exponents = {"learning rate": law.learning_rate_exponent, "batch": law.batch_exponent}
    moving = [f"the {name} goes as n^{power:g}" for name, power in exponents.items() if power]
    if not moving:
        return ""
    return (
        f" Over the ladder {listing(moving)}; the values stated hold at n = {count(law.reference)}."
    )


def _what_is_tuned(recipe: Recipe) -> str:
    if isinstance(recipe.tuning, LoraTuning):
        return f"LoRA of rank {recipe.tuning.rank} (alpha {recipe.tuning.alpha:g})"
    return {
        "full": "all weights trained",
        "frozen_embedding": "all weights trained but the token embedding",
        "embedding": "only the token embedding trained",
    }[recipe.tuning.method]


def _amount(recipe: Recipe) -> str:
    if recipe.epochs is not None:
        epochs = f"{recipe.epochs:g} epoch{'' if recipe.epochs == 1 else 's'}"
        return f"{epochs} at every scale (so compute grows with the data)"
    return f"{count(recipe.steps)} steps at every scale (so compute is held fixed)"


def _asking(study: Study) -> str:
    generate = study.generate
    decoding = (
        "greedily" if generate.temperature == 0 else f"at temperature {generate.temperature:g}"
    )
    base = " and the untuned base (scale 0)" if study.ladder.base else ""
    judges = listing(f"“{name}”, {_judge(judge)}" for name, judge in study.judges.items())
    return (
        f"Every run{base} answered every eval item once, {decoding}, with at most "
        f"{count(generate.max_new_tokens)} new tokens. Scores in [0, 1] come from {judges}. "
        f"A judgement that failed is missing and counted, never 0.{_before(_snapshots(study))}"
    )


def _snapshots(study: Study) -> str:
    shares = listing(f"{percent}%" for percent in study.intermediate_checkpoints.percents())
    if not shares:
        return ""
    return (
        f"Snapshots of every run after {shares} of its steps answered and were judged as well; "
        "they are no separate runs and enter no verdict."
    )


def _judge(judge: Judge) -> str:
    if isinstance(judge, LlmJudge):
        return (
            f"the model {judge.model} with a rubric per category, {plural(judge.repeats, 'repeat')}"
        )
    return "a reference scorer per category"


_CORRECTED = {
    "directional": " Claims with a direction (the tail rises, a drop, a rise before it) are "
    "corrected together over the categories by Holm's method; flat and plateaued are judged for "
    "each category by itself.",
    "all": " All claims of all categories are corrected together by Holm's method.",
}


def _analysis(study: Study, verdicts: list[VerdictTable], clusters: str) -> str:
    options: dict[str, Any] = study.analysis.model_dump()
    margins = dict.fromkeys(table.margins for table in verdicts if table.margins)
    told = f" Verdicts use the equivalence margins {'; '.join(margins)}." if margins else ""
    noise = dict.fromkeys(part for table in verdicts for part in table.noise)
    held = f" Noise held by the intervals: {'; '.join(noise)}." if noise else ""
    return (
        "A category's score is the mean over its items, then over seeds; Overall is the plain "
        f"mean of the categories. Intervals are {level(options['interval'])} t intervals from the "
        "covariance of items and, with several seeds, of runs; a hierarchical bootstrap over items "
        f"and seeds ({count(options['bootstrap_replicates'])} replicates) stands beside them in "
        f"curves.csv.{_before(clusters)}"
        f"{told}{_CORRECTED[options['corrected']]}{held}"
    )
