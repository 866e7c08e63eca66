"""Every figure stays legible: texts inside the page, none over another, no missing glyph."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from analysis.figures import bars, curves, drawing, planner, style
from analysis.figures.canvas import freeze
from analysis.figures.sources import NothingToDraw, Sources
from analysis.figures.text import shorten_all, text_width
from analysis.inference.covariance import UNMEASURED
from analysis.options import FigureOptions
from tests.analysis.figures import figure_tables

SHAPES: dict[str, dict[str, Any]] = {
    "usual": {},
    "two scales, three categories": {
        "scales": (1000, 4000),
        "categories": ("math", "code", "cot"),
        "seeds": 1,
    },
    "eight scales, two arms, two judges": {
        "scales": (0, *(125 * 2**i for i in range(8))),
        "arms": ("full", "lora"),
        "judges": ("metric", "llm"),
    },
    "one category": {"categories": ("math",), "scales": (0, 100_000, 200_000, 2_000_000)},
    "long names": {
        "categories": ("a category whose name is far longer than any panel", "多轮对话与数学推理"),
        "arms": ("full-parameter-tuning-on-verified-data", "lora", "distilled_and_balanced_pool"),
        "judges": ("a-judge-with-quite-a-long-name", "另一个评分模型"),
    },
    "24 categories, six arms": {
        "categories": tuple(f"use case number {i}" for i in range(24)),
        "arms": tuple(f"arm {i}" for i in range(6)),
        "scales": (0, *(125 * 2**i for i in range(8))),
    },
}
QUICK = (("usual", "page"), ("long names", "column"), ("two scales, three categories", "column"))
CASES = [
    pytest.param(
        *(shape, width),
        id=f"{shape}, {width}",
        marks=[] if (shape, width) in QUICK else [pytest.mark.slow],
    )
    for shape in SHAPES
    for width in ("page", "column")
]


def texts(figure: Figure) -> list[tuple[Text, Bbox]]:
    """Every text that is drawn and not blank, with its box in pixels."""
    renderer = figure.canvas.get_renderer()
    hidden = {id(text) for axes in figure.findobj(Axes) for text in hidden_texts(axes)}
    return [
        (text, text.get_window_extent(renderer))
        for text in figure.findobj(Text)
        if text.get_text().strip() and text.get_visible() and id(text) not in hidden
    ]


def hidden_texts(axes: Axes) -> list[Text]:
    """Texts that stay in the tree undrawn: those of hidden axes, and ticks out of the limits."""
    if not axes.get_visible():
        return axes.findobj(Text)
    hidden = []
    for axis in (axes.xaxis, axes.yaxis):
        low, high = sorted(axis.get_view_interval())
        shown = [
            tick.label1 for tick in axis.get_major_ticks() if low - 1e-9 <= tick.get_loc() <= high
        ]
        shown += [axis.label, axis.offsetText]
        hidden += [text for text in axis.findobj(Text) if text not in shown]
    return hidden


def shrunk(box: Bbox, pixels: float = 1.5) -> Bbox:
    """Boxes hold some air around the letters; touching boxes are no overlap."""
    return Bbox.from_extents(box.x0 + pixels, box.y0 + pixels, box.x1 - pixels, box.y1 - pixels)


def overlap(first: Bbox, second: Bbox) -> bool:
    a, b = shrunk(first), shrunk(second)
    return min(a.x1, b.x1) > max(a.x0, b.x0) and min(a.y1, b.y1) > max(a.y0, b.y0)


def is_slanted(text: Text) -> bool:
    return text.get_rotation() % 90 != 0


def collisions(figure: Figure) -> list[str]:
    """Pairs of texts that overlap; slanted ones are compared along their baselines instead."""
    upright = [(text, box) for text, box in texts(figure) if not is_slanted(text)]
    return [
        f"{a.get_text()!r} and {b.get_text()!r}"
        for (a, first), (b, second) in itertools.combinations(upright, 2)
        if overlap(first, second)
    ]


def outside(figure: Figure) -> list[str]:
    page = figure.bbox
    return [
        f"{text.get_text()!r} at {box.extents.round()} of {page.extents}"
        for text, box in texts(figure)
        if box.x0 < -1 or box.y0 < -1 or box.x1 > page.x1 + 1 or box.y1 > page.y1 + 1
    ]


def covered_plots(figure: Figure) -> list[str]:
    """Titles, captions and legends that reach into a plotting area."""
    renderer = figure.canvas.get_renderer()
    boxes = [(t.get_gid(), b) for t, b in texts(figure) if t.get_gid() in ("title", "caption")]
    boxes += [("legend", legend.get_window_extent(renderer)) for legend in figure.legends]
    plots = [axes for axes in figure.findobj(Axes) if axes.get_visible()]
    return [
        name
        for (name, box), axes in itertools.product(boxes, plots)
        if overlap(box, axes.get_window_extent(renderer))
    ]


def drawn(module: ModuleType, tables: Path, width: str) -> Iterator[tuple[str, Figure]]:
    """Every figure of a module, laid out; a missing glyph is an error."""
    options = FigureOptions(width=width, paper_overlay=True)
    audit = figure_tables.audit(tables.parent / "pools/embedded/audit.json")
    frame = module.prepare(Sources(tables, options, [audit])).assign(study="demo", interval=0.9)
    for name, part in drawing.split(module, frame):
        csv = tables.parent / f"{name}.csv"
        part.to_csv(csv, index=False)
        with style.styled(), warnings.catch_warnings():
            warnings.simplefilter("error")
            figure = module.draw(drawing.read_figure_csv(csv), options)
            freeze(figure)
            FigureCanvasAgg(figure).draw()
            yield name, figure


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {
        name: figure_tables.write(
            tmp_path_factory.mktemp("study") / "tables", **figure_tables.study(**shape)
        )
        for name, shape in SHAPES.items()
    }


@pytest.mark.parametrize("module", drawing.FIGURES, ids=lambda module: module.NAME)
@pytest.mark.parametrize(("shape", "width"), CASES)
def test_texts_are_inside_the_page_and_apart(
    module: ModuleType, shape: str, width: str, tables: dict[str, Path]
):
    try:
        figures = list(drawn(module, tables[shape], width))
    except NothingToDraw:
        assert module.NAME in ("figure5a_arms", "figure5b_frontier")
        assert len(SHAPES[shape].get("arms", ("full",))) == 1
        return
    assert figures
    for name, figure in figures:
        assert figure.get_figwidth() == pytest.approx(style.WIDTH_INCHES[width]), name
        assert 1.2 < figure.get_figheight() < 28, name
        assert outside(figure) == [], name
        assert collisions(figure) == [], name
        assert covered_plots(figure) == [], name
        plots = [axes for axes in figure.findobj(Axes) if axes.get_visible()]
        assert all(axes.get_window_extent().width > 0.45 * figure.dpi for axes in plots), name
        smallest = min(text.get_fontsize() for text, _ in texts(figure))
        assert smallest >= 4.8, name


def test_the_paper_in_its_own_geometry():
    frame = bars.prepare_paper().assign(study="")
    with style.styled():
        figure = bars.draw(frame)
        freeze(figure)
        FigureCanvasAgg(figure).draw()
        (axes,) = figure.findobj(Axes)
        box = axes.get_window_extent()
        assert box.height / box.width == pytest.approx(598 / 1464, rel=1e-6)
        assert axes.get_ylim() == (0.2, 1.0)
        ticks = [round(float(tick), 1) for tick in axes.get_yticks() if 0.19 < tick < 1.01]
        assert ticks == [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
        labels = [label.get_text() for label in axes.get_xticklabels()]
        assert labels[0] == "Math"
        assert labels[-1] == "Overall"
        assert len(labels) == 13
        assert collisions(figure) == []
        assert outside(figure) == []


def test_bars_of_a_study_start_at_zero(tmp_path: Path):
    curves = figure_tables.curves(categories=("math", "code"))
    tables = figure_tables.write(tmp_path / "tables", curves=curves.assign(mean=0.9, high=0.95))
    ((_, figure),) = drawn(bars, tables, "page")
    (axes,) = figure.findobj(Axes)
    assert axes.get_ylim()[0] == 0
    assert axes.get_ylim()[1] >= 0.95


def test_missing_scores_are_marked_and_not_drawn_as_zero(tmp_path: Path):
    curves = figure_tables.curves(categories=("math", "code"))
    gone = curves["category"] == "code"
    curves.loc[gone, ["mean", "low", "high"]] = float("nan")
    tables = figure_tables.write(tmp_path / "tables", curves=curves)
    ((_, figure),) = drawn(bars, tables, "page")
    (axes,) = figure.findobj(Axes)
    heights = [patch.get_height() for patch in axes.patches]
    assert sum(pd.isna(height) for height in heights) == curves["scale"].nunique()
    crosses = [line for line in axes.lines if line.get_marker() == "x"]
    assert sum(len(line.get_xdata()) for line in crosses) == curves["scale"].nunique()
    assert "no score" in bars.caption(drawing.read_figure_csv(tmp_path / f"{_}.csv"))


def test_names_that_would_be_cut_alike_stay_apart():
    names = [f"a rather long category name number {i} of many" for i in (1, 2, 10)]
    with style.styled():
        short = shorten_all([*names, "math"], 1.0, 7)
        assert short == ["…1 of many", "…2 of many", "…10 of many", "math"]
        narrow = shorten_all([f"{name} and more" for name in names], 0.6, 7)
        assert len(set(narrow)) == 3
        assert all(text_width(text, 7) <= 0.6 for text in narrow)


def test_every_panel_of_long_names_has_a_heading_of_its_own(tmp_path: Path):
    categories = tuple(f"questions of the kind that bears the number {i}" for i in range(12))
    tables = figure_tables.study(categories=categories)
    folder = figure_tables.write(tmp_path, **tables)
    with style.styled():
        frame = curves.prepare(Sources(folder, FigureOptions())).assign(study="", interval=0.9)
        part = next(iter(drawing.split(curves, frame)))[1]
        figure = curves.draw(part)
        panels = [axes for body in figure.subfigs for axes in body.axes if axes.get_visible()]
        titles = [axes.get_title(loc="left") for axes in panels]
    assert len(set(titles)) == len(titles) == 13


def test_a_plan_without_run_noise_says_that_no_line_holds_it():
    plan = figure_tables.plan(figure_tables.curves(categories=("math",))).assign(kind="plan")
    measured = planner.caption(plan.assign(noise="measured: items and seeds"))
    unmeasured = planner.caption(plan.assign(noise=f"measured: {UNMEASURED}"))
    assert "1 seed: items only" in measured
    assert "all lines are too low" in unmeasured
    assert "so its line" not in unmeasured
