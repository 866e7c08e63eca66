"""The tables of benchmarks.calibration as Markdown, as docs/analysis.md holds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks import competitors
from benchmarks.coverage import narrowest

Rows = Sequence[Mapping[str, Any]]
METHODS = {"ours": "this analysis"} | {
    name: name for name in (*competitors.FAST, *competitors.SLOW)
}


def table(results: Mapping[str, Any]) -> str:
    """Every part that was measured, one Markdown table each."""
    makers = {
        "coverage": _coverage,
        "means": _means,
        "families": _families,
        "labels": _labels,
        "boundaries": _boundaries,
        "power": _power,
        "df": _df,
        "extrapolation": _extrapolation,
    }
    parts = [make(results[name]) for name, make in makers.items() if name in results]
    absent = [f"{name}: {reason}" for name, reason in competitors.missing().items()]
    return "\n\n".join([*parts, *absent])


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def rate(value: float | None, digits: int = 2) -> str:
    """`.90`; a dash where there is none."""
    if value is None:
        return "–"
    return f"{value:.{digits}f}".removeprefix("0") if value < 1 else f"{value:.{digits}f}"


def _coverage(rows: Rows) -> str:
    """Coverage / false claims / half-width of the tail slope; the same of the last step; the share
    of flat studies of which some category is called rising. One seed: second differences (*)."""
    fast = ("ours", *competitors.FAST)
    tail = [
        [
            _cell(row),
            *(_triple(row["tail"].get(name)) for name in METHODS),
            _winner(row["tail"]),
            rate(row["tail"].get("overall", {}).get("coverage")),
        ]
        for row in map(_one_seed, rows)
    ]
    several = [row for row in rows if row["seeds"] > 1]
    step = [[_cell(row), *(_triple(row["step"].get(name)) for name in fast)] for row in several]
    family = [
        [_cell(row), *(rate(row["tail"].get(name, {}).get("family"), 3) for name in fast)]
        for row in several
        if "family" in row["tail"]["ours"]
    ]
    names = [METHODS[name] for name in fast]
    return "\n\n".join(
        [
            markdown(["cell", *METHODS.values(), "narrowest that covers", "overall"], tail),
            markdown(["last step", *names], step),
            markdown(["some of twelve flat ones rises", *names], family),
        ]
    )


def _one_seed(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """With one seed the second differences stand for ours, since no verdict rests on them."""
    found = row["tail"].get("second differences")
    return row if found is None else {**row, "tail": {**row["tail"], "ours": found}}


def _winner(tail: Mapping[str, Any]) -> str:
    best = narrowest({name: each for name, each in tail.items() if name in METHODS})
    return METHODS.get(best, best)


def _cell(row: Mapping[str, Any]) -> str:
    mark = "*" if row["seeds"] == 1 else ""
    return f"{row['group']}: {row['cell']}; S = {row['seeds']}{mark}"


def _triple(found: Mapping[str, float] | None) -> str:
    """Coverage / false claims / half-width."""
    if not found or "coverage" not in found:
        return "–"
    parts = (rate(found["coverage"]), rate(found["false"]), rate(found["half_width"], 4))
    return " / ".join(parts)


def _means(rows: Rows) -> str:
    body = [[row["cell"], rate(row["coverage"], 3)] for row in rows]
    return markdown(["mean", f"coverage, {rows[0]['studies']:,} studies"], body)


def _families(rows: Rows) -> str:
    body = [
        [
            row["family"],
            row["corrected"],
            f"{row['kind']}, S = {row['seeds']}",
            f"{row['studies']:,}",
            rate(row["family_directional"], 3),
            rate(row["family_off_margin"], 3),
            rate(row["family_any"], 3),
            rate(row["claimed"]),
        ]
        for row in rows
    ]
    header = ["truths", "corrected", "scores", "studies", "directional", "off the margin", "any"]
    return markdown([*header, "claimed"], body)


def _labels(rows: Rows) -> str:
    rows = [row for row in rows if row["corrected"] == "directional"]
    truths = list(rows[0]["right"])
    body = [
        [
            f"{row['items']}, {row['seeds']}",
            rate(row["run_sd"], 4),
            *(rate(row["right"][name]) for name in truths),
            f"{sum(row['right'].values()) / len(truths) * 240:.0f}",
            f"{row['false_off_margin'] * 240:.1f}",
            f"{row['false_on_margin'] * 240:.1f}",
        ]
        for row in rows
    ]
    header = ["items, seeds", "run SD", *truths, "right of 240", "false off the margin"]
    return markdown([*header, "false on the margin"], body)


def _boundaries(rows: Rows) -> str:
    body = [
        [
            row["family"],
            f"{row['kind']}, {row['items']} x {row['seeds']}, {row['scales']} scales",
            f"{row['studies']:,}",
            rate(row["false_on_margin"], 3),
            rate(row["false_off_margin"], 3),
        ]
        for row in rows
        if row["corrected"] == "directional"
    ]
    return markdown(["truth", "design", "studies", "called level", "other false claims"], body)


def _power(rows: Rows) -> str:
    body = [
        [
            f"{row['kind']}, {row['items']} x {row['seeds']}, run SD {row['run_sd']:g}",
            f"{row['detectable']:.4f}",
            f"{row['studies']:,}",
            rate(row["improving"], 3),
        ]
        for row in rows
    ]
    return markdown(["design", "slope of power .8", "studies", "called improving"], body)


def _df(rows: Rows) -> str:
    body = []
    for key in dict.fromkeys((row["seed_df"], row["share"]) for row in rows):
        found = [row for row in rows if (row["seed_df"], row["share"]) == key]
        cells = [
            f"{row['satterthwaite_error']:.2f} / {row['howe_error']:.2f} / "
            f"{row['behrens_fisher_error']:.2f}, "
            f"{row['howe_width'] / row['satterthwaite_width']:.2f} / "
            f"{row['behrens_fisher_width'] / row['satterthwaite_width']:.2f}"
            for row in found
        ]
        body.append([f"{key[0]}", rate(key[1]), *cells])
    levels = [f"level {row['level']:.4f}" for row in found]
    return markdown(["df of the seeds", "their share", *levels], body)


def _extrapolation(rows: Rows) -> str:
    designs = list(dict.fromkeys((row["scales"], row["items"], row["seeds"]) for row in rows))
    body = []
    for name in dict.fromkeys(row["truth"] for row in rows):
        found = {(r["scales"], r["items"], r["seeds"]): r for r in rows if r["truth"] == name}
        cells = [
            f"{rate(r['coverage_2x'])} / {rate(r['coverage_4x'])} ({rate(r['refused'])})"
            for r in (found[design] for design in designs)
        ]
        body.append([name, *cells])
    heads = [f"{scales} scales, {items} x {seeds}" for scales, items, seeds in designs]
    return markdown(["truth", *heads], body)
