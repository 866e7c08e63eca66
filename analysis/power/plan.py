"""`python -m analysis plan`: items, seeds and scales for a wanted margin and power, and the cost.

The variance comes from a pilot's score table, or is stated. A pilot's variance of the tail slope
is carried over to other ladders in proportion to the sum of squared slope weights.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.errors import InputError
from analysis.inference.arm_curves import build_panel
from analysis.inference.contrasts import slope_weights, tail_scales
from analysis.inference.score_array import build_cubes
from analysis.options import CurveOptions
from analysis.power.design import ITEM_GRID, Components, components_of, power_within, precision
from analysis.scores import read_scores
from analysis.tables import OVERALL

_FORMATS = {
    **dict.fromkeys(("items", "judgements"), lambda v: "-" if np.isnan(v) else f"{v:,.0f}"),
    "cost": lambda v: "-" if np.isnan(v) else f"{v:,.2f}",
}


@dataclass(frozen=True)
class Costs:
    """What a study costs: arms, categories and repeats multiply; money is per run and call."""

    arms: int = 1
    categories: int = 12
    repeats: int = 1
    per_run: float = 0.0
    per_judgement: float = 0.0

    def money(self, runs: float, judgements: float) -> float:
        """What that many runs and judgements cost; NaN without any price."""
        if not (self.per_run or self.per_judgement):
            return np.nan
        return runs * self.per_run + judgements * self.per_judgement


def plan_table(
    unit: Mapping[str, Components],
    scales: Sequence[int],
    seeds: Sequence[int],
    factor: float,
    options: CurveOptions,
    costs: Costs,
) -> pd.DataFrame:
    """Designs that settle every category's tail slope against the margin.

    Args:
        unit: components of a contrast whose squared weights sum to 1, by category.
        scales: numbers of scales to consider.
        seeds: numbers of seeds to consider.
        factor: ratio of neighboring scales.

    Returns:
        One row per (scales, seeds): `items` per category (the most that any category needs,
        empty where no number is enough), `hardest` (that category), `settled` (categories for
        which some number is enough), runs, judgements, cost (empty without prices).
    """
    rows = []
    for n_scales in scales:
        ladder = factor ** np.arange(n_scales)
        weights = slope_weights(ladder, tail_scales(ladder))
        across = float(weights @ weights)
        for n_seeds in seeds:
            needs = {
                name: _items_needed(_scaled(c, across), n_scales, n_seeds, options)
                for name, c in unit.items()
            }
            # Of several for which no number is enough, the one with the most run noise.
            hardest = max(needs, key=lambda name: (needs[name], unit[name].run))
            settled = sum(map(np.isfinite, needs.values()))
            items, runs = needs[hardest], n_seeds * n_scales * costs.arms
            judgements = runs * items * costs.categories * costs.repeats
            money = costs.money(runs, judgements)
            rows.append(
                {"scales": n_scales, "seeds": n_seeds, "items": items, "hardest": hardest}
                | {"settled": settled, "runs": runs, "judgements": judgements, "cost": money}
            )
    return pd.DataFrame(rows).replace(np.inf, np.nan)


def _scaled(unit: Components, across: float) -> Components:
    return replace(
        unit, item=unit.item * across, run=unit.run * across, item_run=unit.item_run * across
    )


def _items_needed(
    components: Components, n_scales: int, n_seeds: int, options: CurveOptions
) -> float:
    """Fewest items per category; inf when no number up to 100,000 is enough."""
    if n_seeds == 1 and not components.run_known:
        return np.inf  # one seed cannot measure the run noise that its intervals must hold
    level = (1 - options.interval) / 2
    grid = precision(components, n_scales, ITEM_GRID, np.array(n_seeds))
    enough = power_within(grid, options.tail_margin, level) >= options.power
    return float(ITEM_GRID[np.argmax(enough)]) if enough.any() else np.inf


def pilot_components(table: str, arm: str | None, judge: str | None) -> dict[str, Components]:
    """Unit components by category, measured on a pilot's score table.

    Raises:
        InputError: the table is bad, the arm or judge is not in it or must be named, there
            is one seed or one scale only, or no category has measurable noise.
    """
    cubes = [
        cube
        for cube in build_cubes(read_scores(table))
        if arm in (None, cube.arm) and judge in (None, cube.judge)
    ]
    if len(cubes) != 1:
        found = "nothing fits" if not cubes else "several fit"
        raise InputError(
            f"{found}: the pilot must be one arm by one judge",
            where=table,
            fix="name them with --arm and --judge",
        )
    cube = cubes[0]
    if len(cube.seeds) < 2 or len(cube.scales) < 2:
        raise InputError(
            f"the pilot has {len(cube.seeds)} seeds and {len(cube.scales)} scales",
            where=table,
            fix="run at least two of each, or state the variances with --run-sd and the others",
        )
    weights = slope_weights(cube.scales, tail_scales(cube.scales))
    panel = build_panel(cube, CurveOptions())
    unit = {
        name: _scaled(components_of(curve.covariance, cube.scales), 1 / float(weights @ weights))
        for name, curve in panel.curves.items()
        if name != OVERALL and curve.covariance is not None and curve.covariance.total.any()
    }
    if not unit:
        raise InputError("no category of the pilot has measurable noise", where=table)
    return unit


def stated_components(
    item_sd: float, run_sd: float, noise_sd: float, known: bool
) -> dict[str, Components]:
    """Unit components from standard deviations of one score at one scale.

    Args:
        item_sd: of an item's own deviation from the common curve, anew at each scale.
        run_sd: of a run's mean.
        noise_sd: of an item within a run (sampling and judge).
        known: take the run noise as known instead of estimated from the seeds.
    """
    components = Components(item_sd**2, run_sd**2, noise_sd**2, run_known=known)
    return {"stated": components}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The planner's command line."""
    parser.add_argument("pilot", nargs="?", help="score table of a pilot (Parquet or CSV)")
    parser.add_argument("--arm", help="arm of the pilot")
    parser.add_argument("--judge", help="judge of the pilot")
    parser.add_argument("--item-sd", type=float, help="stated SD of an item's own curve")
    parser.add_argument("--run-sd", type=float, help="stated SD of a run's mean")
    parser.add_argument("--noise-sd", type=float, help="stated SD of an item within a run")
    parser.add_argument("--run-sd-known", action="store_true", help="run SD is known, not measured")
    parser.add_argument("--margin", type=float, default=0.02, help="per doubling [0.02]")
    parser.add_argument("--power", type=float, default=0.8, help="[0.8]")
    parser.add_argument("--interval", type=float, default=0.9, help="coverage [0.9]")
    parser.add_argument("--scales", type=int, nargs="+", default=[4, 5, 8], help="[4 5 8]")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 5, 8], help="[1 2 3 5 8]")
    parser.add_argument("--factor", type=float, default=2.0, help="ratio of scales [2]")
    parser.add_argument("--arms", type=int, default=1, help="[1]")
    parser.add_argument("--categories", type=int, default=12, help="[12]")
    parser.add_argument("--repeats", type=int, default=1, help="judge repeats [1]")
    parser.add_argument("--cost-per-run", type=float, default=0.0, help="money per tuning run")
    parser.add_argument("--cost-per-judgement", type=float, default=0.0, help="money per call")
    parser.add_argument("--out", type=Path, help="also write the table to this CSV file")


def run_plan(arguments: argparse.Namespace) -> str:
    """The plan as text.

    Raises:
        InputError: neither a pilot nor all three standard deviations, or a value out of range.
    """
    _check(arguments)
    options = CurveOptions(
        tail_margin=arguments.margin, power=arguments.power, interval=arguments.interval
    )
    if arguments.pilot:
        unit = pilot_components(arguments.pilot, arguments.arm, arguments.judge)
        source = f"variances measured on {arguments.pilot}"
    else:
        unit = stated_components(
            arguments.item_sd, arguments.run_sd, arguments.noise_sd, arguments.run_sd_known
        )
        source = "variances as stated"
    costs = Costs(
        arguments.arms,
        arguments.categories,
        arguments.repeats,
        arguments.cost_per_run,
        arguments.cost_per_judgement,
    )
    table = plan_table(unit, arguments.scales, arguments.seeds, arguments.factor, options, costs)
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        table.to_csv(arguments.out, index=False)
    return _text(table, source, len(unit), options)


def _check(arguments: argparse.Namespace) -> None:
    stated = [arguments.item_sd, arguments.run_sd, arguments.noise_sd]
    if not arguments.pilot and any(value is None for value in stated):
        raise InputError(
            "there is neither a pilot nor a full statement of the variances",
            where="plan",
            fix="give a score table, or --item-sd, --run-sd and --noise-sd",
        )
    rules = {
        "--margin": 0 < arguments.margin < 1,
        "--power": 0.5 < arguments.power < 1,
        "--interval": 0 < arguments.interval < 1,
        "--scales": min(arguments.scales) >= 2,
        "--seeds": min(arguments.seeds) >= 1,
        "--factor": arguments.factor > 1,
        "a standard deviation": all(v is None or 0 <= v < 1 for v in stated),
        "a count or cost": min(arguments.arms, arguments.categories, arguments.repeats) >= 1
        and min(arguments.cost_per_run, arguments.cost_per_judgement) >= 0,
    }
    for name, holds in rules.items():
        if not holds:
            raise InputError(f"{name} is out of range", where="plan")


def _text(table: pd.DataFrame, source: str, categories: int, options: CurveOptions) -> str:
    shown = table.assign(settled=table["settled"].map(f"{{}} of {categories}".format))
    lines = [
        f"Designs with power {options.power:g} to show that a tail slope of 0 lies within "
        f"{options.tail_margin:g} per doubling ({options.interval:.0%} intervals); {source}.",
        shown.to_string(index=False, na_rep="-", formatters=_FORMATS),
        f"items: what the hardest category needs, - if more than {ITEM_GRID[-1]:,}; "
        "settled: categories for which fewer are enough.",
    ]
    possible = table.dropna(subset="items")
    if possible.empty:
        lines.append("None of these designs settles every category: widen the margin or add seeds.")
    else:
        best = possible.sort_values(["cost", "judgements", "runs"], kind="stable").iloc[0]
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
