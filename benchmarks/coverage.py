"""Coverage, false claims and width of intervals of a slope, ours beside those of others.

Cells of simulated studies of twelve categories that share half of their run noise: noise that is
equal over scales, larger at the last one, falling or correlated; few unequal clusters; shares near
0 and 1; scores that go missing where the answer is wrong; one seed, few seeds, unequal numbers of
runs; a judge that drifts over the scales. Every method sees the same studies. The statistics are
the tail slope and the last step's difference; the nominal coverage is .90. `benchmarks.calibration`
runs it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from analysis.inference.contrasts import tail_scales
from analysis.inference.covariance import Covariance, covariances
from analysis.inference.estimate import Estimate
from analysis.inference.intervals import share_interval
from analysis.inference.multiplicity import holm
from analysis.inference.one_seed import smooth_estimate
from analysis.inference.sample import Sample, average
from analysis.tables import OVERALL
from benchmarks import competitors
from benchmarks.competitors import Slopes
from benchmarks.simulated_study import CATEGORIES, Design, shared_runs, simulate, truth

NOMINAL = 0.9
LEVEL = 0.05
ENOUGH = 0.87
TRUTHS = ("flat", "plateau", "+.035", "+.02", "hump", "near-plateau", "saturating", "logit-linear")
RUN_SD = {
    "equal, .01": np.full(5, 0.01),
    "last scale noisier, .005 and .02": np.array([0.005] * 4 + [0.02]),
    "falling, .03 to .005": np.geomspace(0.03, 0.005, 5),
    "AR(1) of .8": np.full(5, 0.01),
}
UNEQUAL_CLUSTERS = (
    (20, 8, 5, 3, 2, 2),
    (30, 4, 2, 2, 1, 1),
    (20, 15, 10, 8, 6, 5, 4, 3, 3, 2, 2, 2),
)
UNEQUAL_RUNS = ((5, 5, 5, 5, 1), (5, 5, 3, 3, 2), (3, 3, 3, 3, 1), (3, 3, 2, 2, 2))


@dataclass(frozen=True)
class Cell:
    """One kind of study.

    Attributes:
        draw: scores (C, K, S, N) of a study, NaN where there is none.
        means: (C, K) true means.
        clusters: (N,) cluster of each item.
        studies: share of the benchmark's studies that are simulated.
    """

    group: str
    name: str
    seeds: int
    draw: Callable[[np.random.Generator], np.ndarray]
    means: np.ndarray
    clusters: np.ndarray
    studies: float = 1.0

    @property
    def scales(self) -> int:
        """Scales of the ladder."""
        return self.means.shape[1]

    @property
    def flat(self) -> bool:
        """No category changes."""
        return bool((np.ptp(self.means, axis=1) == 0).all())


@dataclass
class Count:
    """What one method did over the studies of a cell."""

    inside: list[bool] = field(default_factory=list)
    above: list[bool] = field(default_factory=list)
    halves: list[float] = field(default_factory=list)
    families: list[bool] = field(default_factory=list)
    studies: int = 0

    def add(self, found: Slopes, true: np.ndarray, flat: bool) -> None:
        """Count the intervals of a study's categories; a method without an interval has none."""
        given = np.isfinite(found.high - found.low)
        low, high, true = found.low[given], found.high[given], true[given]
        self.studies += 1
        self.inside += ((low <= true) & (true <= high)).tolist()
        self.above += (low > true).tolist()
        self.halves += ((high - low) / 2).tolist()
        if flat and len(true) == CATEGORIES:
            self.families.append(bool((holm(found.p_above) < LEVEL).any()))

    def row(self) -> dict[str, Any]:
        """Coverage, false claims (the slope said to be above the truth at one-sided .05), mean
        half-width, and the share of flat studies of which some category is said to rise (Holm)."""
        if not self.halves:
            return {"studies": self.studies, "given": 0}
        row = {
            "studies": self.studies,
            "given": len(self.halves),
            "coverage": float(np.mean(self.inside)),
            "false": float(np.mean(self.above)),
            "half_width": float(np.mean(self.halves)),
        }
        return row | ({"family": float(np.mean(self.families))} if self.families else {})


def ours(
    y: np.ndarray, clusters: np.ndarray, uses: Mapping[str, np.ndarray]
) -> dict[str, tuple[Slopes, Estimate]]:
    """The analysis' intervals of each contrast in every category, and of overall."""
    samples = {str(c): Sample.from_scores(each, clusters) for c, each in enumerate(y)}
    noise = covariances(samples | {OVERALL: average(list(samples.values()))})
    found = {}
    for name, use in uses.items():
        weights = competitors.weights_of(use)
        estimates = {key: each.contrast(weights) for key, each in noise.items()}
        overall = estimates.pop(OVERALL)
        found[name] = _slopes(list(estimates.values())), overall
    return found


def second_differences(y: np.ndarray, use: np.ndarray) -> Slopes:
    """The interval of one seed, which takes the curve as smooth and is labeled so."""
    scales = 2.0 ** np.arange(y.shape[1])
    means = y.mean((2, 3))
    found = [smooth_estimate(each, scales, competitors.weights_of(use)) for each in means]
    return _slopes([each for each in found if each is not None])


def _slopes(estimates: list[Estimate]) -> Slopes:
    low, high = np.array([each.interval(NOMINAL) for each in estimates]).T
    return Slopes(low, high, np.array([each.corrected_p_above(0.0) for each in estimates]))


@dataclass(frozen=True)
class Size:
    """Studies of a cell for the fast methods, and of one category each for the slow ones."""

    studies: int
    mixed: int
    fixest: int


FULL, QUICK = Size(2000, 100, 300), Size(6, 1, 2)
_MIXED_ITEMS = 100  # with more items one MixedLM takes seconds


def measure(cell: Cell, size: Size, seed: int) -> dict[str, Any]:
    """Every method on the same studies of a cell."""
    rng = np.random.default_rng(seed)
    uses = {
        "tail": tail_scales(2.0 ** np.arange(cell.scales)),
        "step": np.arange(cell.scales) >= cell.scales - 2,
    }
    true = {name: cell.means @ competitors.weights_of(use) for name, use in uses.items()}
    slow = {"CRV1": size.fixest, "CRV3": size.fixest}
    if len(cell.clusters) <= _MIXED_ITEMS:
        slow["MixedLM"] = size.mixed
    slow = {name: n for name, n in slow.items() if name not in competitors.missing()}
    names = ("ours", "overall", "second differences", *competitors.FAST, *slow)
    counts = {what: {name: Count() for name in names} for what in uses}
    for study in range(max(1, round(size.studies * cell.studies))):
        y = cell.draw(rng)
        if cell.seeds == 1:
            found = second_differences(y, uses["tail"])
            counts["tail"]["second differences"].add(found, true["tail"], cell.flat)
        else:
            for what, (slopes, overall) in ours(y, cell.clusters, uses).items():
                counts[what]["ours"].add(slopes, true[what], cell.flat)
                counts[what]["overall"].add(
                    _slopes([overall]), true[what].mean(keepdims=True), False
                )
        for name, method in competitors.FAST.items():
            for what, use in uses.items():
                found = method(y, cell.clusters, use, NOMINAL)
                counts[what][name].add(found, true[what], cell.flat)
        for name, number in slow.items():
            if study < number * cell.studies:  # one category: its own, in turn
                c = study % CATEGORIES
                found = competitors.SLOW[name](y[[c]], cell.clusters, uses["tail"], NOMINAL)
                counts["tail"][name].add(found, true["tail"][[c]], False)
    return {
        "group": cell.group,
        "cell": cell.name,
        "seeds": cell.seeds,
        **{
            what: {n: c.row() for n, c in each.items() if c.studies}
            for what, each in counts.items()
        },
    }


def narrowest(row: Mapping[str, Mapping[str, float]]) -> str:
    """The method with the narrowest intervals among those that cover at least .87 of truths."""
    valid = {
        name: each["half_width"]
        for name, each in row.items()
        if name != "overall" and each.get("coverage", 0.0) >= ENOUGH
    }
    return min(valid, key=lambda name: valid[name]) if valid else "none"


def cells() -> list[Cell]:
    """Every cell, in the order of the table."""
    noise = [
        _flat("run noise", kind, seeds, _gaussian(sd, seeds, 0.8 if "AR" in kind else 0.0))
        for kind, sd in RUN_SD.items()
        for seeds in (2, 3, 5)
    ]
    designs = [
        *(Design(kind, 180, seeds, 5) for kind in ("graded", "binary") for seeds in (2, 3, 5)),
        *(Design(kind, 180, 3, scales) for kind in ("graded", "binary") for scales in (4, 8)),
        *(Design("graded", 600, seeds, 5) for seeds in (2, 3)),
    ]
    near = [_shares(p) for p in (0.03, 0.97)]
    clusters = [_clustered(sizes) for sizes in UNEQUAL_CLUSTERS]
    runs = [_unequal_runs(numbers) for numbers in UNEQUAL_RUNS]
    one = [
        _flat("one seed", kind, 1, _gaussian(sd, 1, 0.0))
        for kind, sd in RUN_SD.items()
        if "AR" not in kind
    ]
    drift = [
        _drift("shifts with SD .01 between scales", lambda rng: rng.normal(0, 0.01, 5)),
        _drift("rises by .005 per doubling", lambda rng: 0.005 * np.arange(5)),
    ]
    return [*noise, *map(_curves, designs), *near, *clusters, *runs, _missing(), *one, *drift]


def _flat(
    group: str,
    name: str,
    seeds: int,
    draw: Callable[[np.random.Generator], np.ndarray],
    mean: float = 0.5,
    clusters: np.ndarray | None = None,
) -> Cell:
    labels = np.arange(60) if clusters is None else clusters
    return Cell(group, name, seeds, draw, np.full((CATEGORIES, 5), mean), labels)


def _gaussian(
    run_sd: np.ndarray, seeds: int, lag: float, clusters: np.ndarray | None = None
) -> Callable[[np.random.Generator], np.ndarray]:
    """Flat curves at .5; with clusters, half of what items share lies between them.

    Args:
        lag: correlation of a run's noise with that at the scale before.
    """
    labels = np.arange(60) if clusters is None else clusters
    n = len(labels)

    def draw(rng: np.random.Generator) -> np.ndarray:
        run = shared_runs(rng, len(run_sd), seeds, lag) * run_sd[:, None]
        own = rng.normal(0, 0.03, (CATEGORIES, len(run_sd), 1, n))
        if clusters is not None:
            between = rng.normal(0, 0.03, (CATEGORIES, len(run_sd), 1, labels.max() + 1))
            own = own + between[..., labels]
        y = 0.5 + rng.normal(0, 0.2, (CATEGORIES, 1, 1, n)) + own + run[..., None]
        return y + rng.normal(0, 0.05, (CATEGORIES, len(run_sd), seeds, n))

    return draw


def _curves(design: Design) -> Cell:
    """Curves of eight shapes, some of them twice."""
    shapes = [TRUTHS[number % len(TRUTHS)] for number in range(CATEGORIES)]
    means = np.array([truth(shape, design.scales) for shape in shapes])

    def draw(rng: np.random.Generator) -> np.ndarray:
        run = shared_runs(rng, design.scales, design.seeds)
        pairs = zip(means, run, strict=True)
        return np.stack([simulate(mean, design, rng, own) for mean, own in pairs])

    kind = {"graded": "graded", "binary": "right or wrong"}[design.kind]
    name = f"{kind}, {design.items} items, {design.scales} scales"
    share = 180 / design.items if design.items > 180 else 1.0
    return Cell("scores", name, design.seeds, draw, means, np.arange(design.items), share)


def _shares(p: float) -> Cell:
    design = Design("binary", 180, 3, 5, run_sd=0.005)

    def draw(rng: np.random.Generator) -> np.ndarray:
        run = shared_runs(rng, 5, 3)
        return np.stack([simulate(np.full(5, p), design, rng, own) for own in run])

    return _flat("near 0 and 1", f"right or wrong at {p:g}", 3, draw, p, np.arange(180))


def _clustered(sizes: tuple[int, ...]) -> Cell:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    name = "sizes " + ", ".join(map(str, sizes))
    draw = _gaussian(RUN_SD["equal, .01"], 3, 0.0, labels)
    return _flat("clusters", name, 3, draw, clusters=labels)


def _unequal_runs(numbers: tuple[int, ...]) -> Cell:
    whole = _gaussian(RUN_SD["equal, .01"], max(numbers), 0.0)

    def draw(rng: np.random.Generator) -> np.ndarray:
        y = whole(rng)
        for k, number in enumerate(numbers):
            y[:, k, number:] = np.nan
        return y

    return _flat("unequal runs", "runs " + ", ".join(map(str, numbers)), max(numbers), draw)


def _missing() -> Cell:
    """Flat curves at .94: .8 of the wrong answers at the last scale have no score."""

    def draw(rng: np.random.Generator) -> np.ndarray:
        p = 0.94 + 0.005 * shared_runs(rng, 5, 3)[..., None]
        y = (rng.random((CATEGORIES, 5, 3, 180)) < p).astype(float)
        last = y[:, -1]
        last[(last == 0) & (rng.random(last.shape) < 0.8)] = np.nan
        return y

    return _flat("missing", "4.8% at the last scale, wrong ones", 3, draw, 0.94, np.arange(180))


def _drift(name: str, shift: Callable[[np.random.Generator], np.ndarray]) -> Cell:
    """A judge whose leniency moves with the scale, in all runs and categories alike."""
    plain = _gaussian(RUN_SD["equal, .01"], 3, 0.0)

    def draw(rng: np.random.Generator) -> np.ndarray:
        return plain(rng) + shift(rng)[:, None, None]

    return _flat("judge drift", name, 3, draw)


def coverage(quick: bool) -> list[dict[str, Any]]:
    """All cells; deterministic, each with a seed of its own."""
    size = QUICK if quick else FULL
    return [measure(cell, size, seed) for seed, cell in enumerate(cells(), 1)]


def means(quick: bool) -> list[dict[str, Any]]:
    """Coverage of intervals of a mean: clusters with 50 to 80% or 20% of the variance between
    them, and shares of right answers."""
    studies, seed = (50, 2000)[not quick], 0
    rows = []
    for sizes in UNEQUAL_CLUSTERS[:2]:
        for between in (0.05, 0.1, 0.2):
            seed += 1
            rows.append(_cluster_mean(sizes, between, studies, seed))
    for p in (0.01, 0.03, 0.05, 0.5, 0.97):
        seed += 1
        rows.append(_share_mean(p, studies, seed))
    return rows


def _cluster_mean(sizes: tuple[int, ...], sd: float, studies: int, seed: int) -> dict[str, Any]:
    """One run; within a cluster the SD is .1, between clusters `sd`."""
    rng, labels = np.random.default_rng(seed), np.repeat(np.arange(len(sizes)), sizes)
    inside = 0
    for _ in range(studies):
        y = 0.5 + rng.normal(0, sd, len(sizes))[labels] + rng.normal(0, 0.1, len(labels))
        low, high = (
            Covariance(Sample.from_scores(y[None, None], labels)).scale_mean(0).interval(NOMINAL)
        )
        inside += low <= 0.5 <= high
    name = f"clusters of {', '.join(map(str, sizes))}; SD between {sd:g}"
    return {"cell": name, "studies": studies, "coverage": inside / studies}


def _share_mean(p: float, studies: int, seed: int) -> dict[str, Any]:
    """Right answers to 40 items in three runs whose answers agree in .8."""
    rng, inside = np.random.default_rng(seed), 0
    for _ in range(studies):
        same, answer = rng.random((3, 40)) < 0.8, rng.random(40) < p
        y = np.where(same, answer, rng.random((3, 40)) < p).astype(float)[None]
        estimate = Covariance(Sample.from_scores(y, np.arange(40))).scale_mean(0)
        low, high, _ = share_interval(estimate, 40, NOMINAL)
        inside += low <= p <= high
    return {"cell": f"share of {p:g}", "studies": studies, "coverage": inside / studies}
