"""plan.csv and `python -m analysis plan`: what a design can show, and what a study needs.

plan.csv varies items and seeds around the study at hand, on its own ladder. The planner searches
scales, seeds and items for a wanted margin and power. Its variance comes from a pilot's score
table, or is stated; a pilot's variance of the tail slope is carried over to other ladders in
proportion to the sum of squared slope weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.errors import InputError
from analysis.inference.contrasts import tail_weights
from analysis.inference.covariance import Covariance
from analysis.inference.curves import ArmCurves, build_arm_curves
from analysis.inference.multiplicity import number_of_claims
from analysis.inference.score_array import build_score_arrays
from analysis.inference.variance import Repeats, repeat_variances
from analysis.options import CurveOptions
from analysis.power.design import (
    ITEM_GRID,
    AnswerNoise,
    Components,
    components_of,
    power_within,
    precision,
    shared_degrees,
)
from analysis.power.simulate import simulate_power
from analysis.scores import read_scores
from analysis.tables import OVERALL

_FORMATS = {
    **dict.fromkeys(("items", "judgements"), lambda v: "-" if np.isnan(v) else f"{v:,.0f}"),
    "cost": lambda v: "-" if np.isnan(v) else f"{v:,.2f}",
}


def plan_rows(
    arm: ArmCurves, options: CurveOptions, repeats: Mapping[tuple[str, str, str], Repeats]
) -> list[dict[str, Any]]:
    """Designs of the options' items and seeds on the same ladder, per category with noise, by
    answers to each item and judgements of each answer.

    Args:
        repeats: the judges' noise by (judge, arm, category).

    Raises:
        InputError: several answers are asked for and their noise is not stated.
    """
    if max(options.plan_answers, default=1) > 1 and options.answer_sd is None:
        raise InputError(
            "plan_answers asks for several answers, and the noise between them is not known",
            where="options",
            fix="state answer_sd",
        )
    if len(arm.scales) < 2:
        return []
    of_arm = {
        category: found
        for (judge, name, category), found in repeats.items()
        if (judge, name) == (arm.scores.judge, arm.scores.arm)
    }
    noise = {name: _answer_noise(each, options.answer_sd) for name, each in of_arm.items()}
    categories = max(1, len(noise))
    if noise:  # that of overall is the mean of the categories'
        noise[OVERALL] = AnswerNoise(
            sum(each.answer for each in noise.values()) / categories,
            sum(each.judge for each in noise.values()) / categories,
            sum(each.repeats for each in noise.values()) / categories,
        )
    return [
        arm.key(name) | {"noise": f"measured: {curve.covariance.noise}"} | row
        for name, curve in arm.curves.items()
        if curve.noisy
        for row in _design_rows(
            curve.covariance,
            arm.scales,
            1 if name == OVERALL else len(arm.curves) - 1,
            noise.get(name, AnswerNoise()),
            options,
        )
    ]


def _answer_noise(repeats: Repeats, answer_sd: float | None) -> AnswerNoise:
    judge = repeats.variance if np.isfinite(repeats.variance) else 0.0
    number = repeats.number if np.isfinite(repeats.number) else 1.0
    return AnswerNoise((answer_sd or 0.0) ** 2, judge, number)


def _design_rows(
    covariance: Covariance,
    scales: np.ndarray,
    family: int,
    noise: AnswerNoise,
    options: CurveOptions,
) -> list[dict[str, Any]]:
    """What each design of the options can show about the tail slope.

    Args:
        family: number of categories whose claims are corrected together.
    """
    measured, categories = components_of(covariance, scales), covariance.n_strata
    across = float(np.square(tail_weights(scales)).sum()) / categories
    items, seeds = np.meshgrid(options.plan_items, options.plan_seeds, indexing="ij")
    rows = []
    for answers in options.plan_answers:
        for repeats in options.plan_repeats or [noise.repeats]:
            item_run = noise.planned(measured.item_run, across, answers, repeats)
            components = replace(measured, item_run=item_run)
            expected = precision(components, items, seeds)
            found = simulate_power(
                components,
                items,
                seeds,
                options.tail_margin,
                options.level,
                number_of_claims(family, options.corrected),
                options.power,
            )
            rows += [
                {
                    "items": int(items[at]),
                    "seeds": int(seeds[at]),
                    "answers": answers,
                    "repeats": repeats,
                    "scales": len(scales),
                    "slope_se": float(expected.se[at]),
                    "df": float(expected.df[at]),
                    "power": options.power,
                    "detectable": float(found.detectable[at]),
                    "power_flat": float(found.level[at]),
                    "power_at_margin": float(found.at_margin[at]),
                    "power_margin": float(found.at_twice[at]),
                    "runs": int(seeds[at]) * len(scales),
                    "judgements": round(
                        int(seeds[at])
                        * len(scales)
                        * int(items[at])
                        * categories
                        * answers
                        * repeats
                    ),
                }
                for at in np.ndindex(items.shape)
            ]
    return rows


@dataclass(frozen=True)
class Costs:
    """What a study costs: arms, categories and repeats multiply; money is per run and call.

    Attributes:
        per_run: money of a run, whatever its size.
        per_million: money of a million records seen in tuning: a large run is not a small one.
        largest: records of the largest scale.
    """

    arms: int = 1
    categories: int = 12
    repeats: int = 1
    per_run: float = 0.0
    per_judgement: float = 0.0
    per_million: float = 0.0
    largest: float = 0.0

    def money(self, ladder: np.ndarray, seeds: int, judgements: float) -> float:
        """What the runs of a ladder (multiples of its first scale) and judgements cost; NaN
        without any price."""
        if not (self.per_run or self.per_judgement or self.per_million):
            return np.nan
        records = float((ladder / ladder[-1]).sum()) * self.largest
        per_seed = len(ladder) * self.per_run + records / 1e6 * self.per_million
        return self.arms * seeds * per_seed + judgements * self.per_judgement


def plan_table(
    unit: Mapping[str, Components],
    scales: Sequence[int],
    seeds: Sequence[int],
    factor: float,
    options: CurveOptions,
    costs: Costs,
) -> pd.DataFrame:
    """Designs that can show a level tail to lie within the margin, in every category.

    Args:
        unit: components of a contrast whose squared weights sum to 1, by category.
        scales: numbers of scales to consider.
        seeds: numbers of seeds to consider.
        factor: ratio of neighboring scales.

    Returns:
        One row per (scales, seeds): `items` per category (the most that any category needs,
        empty where no number is enough), `hardest` (that category), `feasible` (categories for
        which some number is enough), runs, judgements, cost (empty without prices).
    """
    rows = []
    for n_scales in scales:
        ladder = factor ** np.arange(n_scales)
        across = float(np.square(tail_weights(ladder)).sum())
        for n_seeds in seeds:
            needs = {
                name: _items_needed(_scaled(c, across), n_seeds, options)
                for name, c in unit.items()
            }
            # Of several for which no number is enough, the one with the most run noise.
            hardest = max(needs, key=lambda name: (needs[name], unit[name].run))
            feasible = sum(map(np.isfinite, needs.values()))
            items, runs = needs[hardest], n_seeds * n_scales * costs.arms
            judgements = runs * items * costs.categories * costs.repeats
            money = costs.money(ladder, n_seeds, judgements)
            rows.append(
                {"scales": n_scales, "seeds": n_seeds, "items": items, "hardest": hardest}
                | {"feasible": feasible, "runs": runs, "judgements": judgements, "cost": money}
            )
    return pd.DataFrame(rows).replace(np.inf, np.nan)


def _scaled(unit: Components, across: float) -> Components:
    return replace(
        unit, item=unit.item * across, run=unit.run * across, item_run=unit.item_run * across
    )


def _items_needed(components: Components, n_seeds: int, options: CurveOptions) -> float:
    """Fewest items per category; inf when no number up to 100,000 is enough."""
    if n_seeds == 1 and not components.run_known:
        return np.inf  # one seed cannot measure the run noise that its intervals must hold
    grid = precision(components, ITEM_GRID, np.array(n_seeds))
    enough = power_within(grid, options.tail_margin, options.level) >= options.power
    return float(ITEM_GRID[np.argmax(enough)]) if enough.any() else np.inf


def pilot_components(
    table: Path, arm: str | None, judge: str | None, answer_sd: float | None = None
) -> tuple[dict[str, Components], dict[str, AnswerNoise]]:
    """Unit components by category, measured on a pilot's score table, and what of them answers and
    judgements bring: the judge's part is measured where the pilot has repeats.

    Args:
        answer_sd: between answers of one run to one item, known from elsewhere.

    Raises:
        InputError: the table is bad, the arm or judge is not in it or must be named, there
            is one seed or one scale only, or no category has measurable noise.
    """
    scores = read_scores(table)
    pilots = [
        each
        for each in build_score_arrays(scores)
        if arm in (None, each.arm) and judge in (None, each.judge)
    ]
    if len(pilots) != 1:
        found = "nothing fits" if not pilots else "several fit"
        raise InputError(
            f"{found}: the pilot must be one arm by one judge",
            where=table,
            fix="name them with --arm and --judge",
        )
    pilot = build_arm_curves(pilots[0], CurveOptions())
    scales, seeds = pilot.scales, pilot.scores.seeds
    if len(seeds) < 2 or len(scales) < 2:
        raise InputError(
            f"the pilot has {len(seeds)} seeds and {len(scales)} scales",
            where=table,
            fix="run at least two of each, or state the variances with --run-sd and the others",
        )
    across = float(np.square(tail_weights(scales)).sum())
    unit = {
        name: _scaled(components_of(curve.covariance, scales), 1 / across)
        for name, curve in pilot.curves.items()
        if name != OVERALL and curve.noisy
    }
    if not unit:
        raise InputError("no category of the pilot has measurable noise", where=table)
    repeats = repeat_variances(scores)
    noise = {
        name: _answer_noise(repeats[pilot.scores.judge, pilot.scores.arm, name], answer_sd)
        for name in unit
    }
    return unit, noise


def with_answers(
    unit: Mapping[str, Components],
    noise: Mapping[str, AnswerNoise],
    answers: int,
    repeats: int,
) -> dict[str, Components]:
    """The unit components with these numbers of answers to each item and judgements of each."""
    return {
        name: replace(each, item_run=noise[name].planned(each.item_run, 1.0, answers, repeats))
        for name, each in unit.items()
    }


def stated_components(
    item_sd: float, run_sd: float, noise_sd: float, known: bool, categories: int = 1
) -> dict[str, Components]:
    """Unit components from standard deviations of one score at one scale.

    Args:
        item_sd: of an item's own deviation from the common curve, independent at each scale.
        run_sd: of a run's mean.
        noise_sd: of an item within a run (sampling and judge).
        known: take the run noise as known instead of estimated from the seeds.
        categories: of the study; see `shared_degrees`.
    """
    components = Components(
        item_sd**2, run_sd**2, noise_sd**2, run_known=known, shared=shared_degrees(categories)
    )
    return {"stated": components}


def plan_text(table: pd.DataFrame, source: str, categories: int, options: CurveOptions) -> str:
    """The plan in words: all designs, and the cheapest that is large enough.

    Args:
        table: what `plan_table` gives.
        source: where the variances come from.
        categories: number of categories that the table rests on.
    """
    shown = table.assign(feasible=table["feasible"].map(f"{{}} of {categories}".format))
    lines = [
        f"Designs with power {options.power:g} to show that a tail slope of 0 lies within "
        f"{options.tail_margin:g} per doubling ({options.interval:.0%} intervals); {source}.",
        shown.to_string(index=False, na_rep="-", formatters=_FORMATS),
        f"items: what the hardest category needs, - if more than {ITEM_GRID[-1]:,}; "
        "feasible: categories for which fewer are enough.",
    ]
    best = best_design(table)
    if best is None:
        lines.append("None of these designs is large enough: widen the margin or add seeds.")
    else:
        priced = np.isfinite(best["cost"])
        lines.append(
            f"{'Cheapest' if priced else 'Fewest judgements'}: {best['items']:.0f} items per "
            f"category x {best['seeds']:.0f} seeds x {best['scales']:.0f} scales: "
            f"{best['runs']:.0f} runs, {best['judgements']:,.0f} judgements"
            + (f", cost {best['cost']:,.2f}." if priced else ".")
        )
        if best["scales"] < 5:
            lines.append("Extrapolation needs at least 5 scales; this design has fewer.")
    return "\n".join(lines)


def best_design(table: pd.DataFrame) -> pd.Series | None:
    """The cheapest row of `plan_table` that is large enough, or that of the fewest judgements
    without prices; None where none is."""
    possible = table.dropna(subset="items")
    if possible.empty:
        return None
    return possible.sort_values(["cost", "judgements", "runs"], kind="stable").iloc[0]
