"""Every figure stays legible: texts inside the page, none over another, no missing glyph."""

from __future__ import annotations

import itertools
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, SubFigure
from matplotlib.legend import Legend
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from analysis.figures import bars, curves, drawing, layout, planner, style
from analysis.figures.kind import Kind, NothingToDraw, Sources
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
        "scales": (0, 125, 1000, 16000),
    },
}
# Both widths where names are long or many; the others differ by the number of panels alone.
CASES = [
    ("usual", "page"),
    ("two scales, three categories", "column"),
    ("eight scales, two arms, two judges", "page"),
    ("eight scales, two arms, two judges", "column"),
    ("one category", "column"),
    ("long names", "page"),
    ("long names", "column"),
    ("24 categories, six arms", "column"),
]
SLOW = ("24 categories, six arms", "eight scales, two arms, two judges")


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
    boxes = [(t.get_gid(), b) for t, b in texts(figure) if t.get_gid() in ("title", "caption")]
    legends = [legend for legend in figure.findobj(Legend) if legend.axes is None]
    boxes += [("legend", legend.get_window_extent()) for legend in legends]
    plots = [axes for axes in figure.findobj(Axes) if axes.get_visible()]
    return [
        name
        for (name, box), axes in itertools.product(boxes, plots)
        if overlap(box, axes.get_window_extent())
    ]


def covering_slanted(figure: Figure) -> list[str]:
    """Upright texts and legends over a slanted label's lower end, where it is furthest down."""
    slanted = [(t, b) for t, b in texts(figure) if is_slanted(t)]
    boxes = [(t.get_text(), b) for t, b in texts(figure) if t.get_gid() in ("title", "caption")]
    legends = [legend for legend in figure.findobj(Legend) if legend.axes is None]
    boxes += [("legend", legend.get_window_extent()) for legend in legends]
    return [
        name for (name, box), (_, label) in itertools.product(boxes, slanted) if overlap(box, label)
    ]


def drawn(kind: Kind, tables: Path, width: str, last: bool) -> list[tuple[str, Figure]]:
    """The first figure of a kind, and its last where names differ; a missing glyph is an error."""
    options = FigureOptions(width=width, paper_overlay=True)
    audit = figure_tables.audit(tables.parent / "pools/synthetic/audit.json")
    rows = kind.prepare(Sources(tables, options, [audit])).assign(study="demo", interval=0.9)
    parts = list(drawing.split(kind, rows))
    figures = []
    for name, part in parts[:1] + parts[1:][-1:] * last:
        csv = tables.parent / f"{name}.csv"
        part.to_csv(csv, index=False)
        with style.styled(), warnings.catch_warnings():
            warnings.simplefilter("error")
            figure = drawing.picture(kind, drawing.read_rows(csv), options)
            FigureCanvasAgg(figure).draw()
        figures.append((name, figure))
    return figures


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {
        name: figure_tables.write(
            tmp_path_factory.mktemp("study") / "tables", **figure_tables.study(**shape)
        )
        for name, shape in SHAPES.items()
    }


@pytest.mark.parametrize("kind", drawing.FIGURES, ids=lambda kind: kind.name)
@pytest.mark.parametrize(
    ("shape", "width"),
    [pytest.param(*c, marks=[pytest.mark.slow] * (c[0] in SLOW), id=", ".join(c)) for c in CASES],
)
def test_texts_are_inside_the_page_and_apart(
    kind: Kind, shape: str, width: str, tables: dict[str, Path], caplog: pytest.LogCaptureFixture
):
    try:
        figures = drawn(kind, tables[shape], width, last=shape == "long names")
    except NothingToDraw:
        assert kind.name in ("figure5a_arms", "figure5b_frontier")
        assert len(SHAPES[shape].get("arms", ("full",))) == 1
        return
    for name, figure in figures:
        assert figure.get_figwidth() == pytest.approx(style.WIDTH_INCHES[width]), name
        assert 1.2 < figure.get_figheight() < 28, name
        assert outside(figure) == [], name
        assert collisions(figure) == [], name
        assert covered_plots(figure) == [], name
        assert covering_slanted(figure) == [], name
        plots = [axes for axes in figure.findobj(Axes) if axes.get_visible()]
        boxes = [axes.get_window_extent() for axes in plots]
        assert all(box.width > 0.45 * figure.dpi for box in boxes), name
        assert all(box.height > 0.4 * figure.dpi for box in boxes), name
        shown = [text.get_text() for text, _ in texts(figure)]
        assert not any("<U+" in text for text in shown), name
        assert min(text.get_fontsize() for text, _ in texts(figure)) >= 4.8, name
    assert [record.getMessage() for record in caplog.records] == []  # such as a font not found


def test_tick_labels_of_a_wide_logarithmic_axis_stay_apart(tables: dict[str, Path]):
    """Detectable slopes over four powers of ten."""
    options = FigureOptions()
    shape = next(iter(SHAPES))
    rows = planner.PLANNER.prepare(Sources(tables[shape], options))
    (_, part), *_ = drawing.split(planner.PLANNER, rows.assign(study="demo", interval=0.9))
    spread = np.geomspace(0.00008, 0.9, len(part))
    with style.styled():
        figure = drawing.picture(planner.PLANNER, part.assign(detectable=spread), options)
        FigureCanvasAgg(figure).draw()
    assert collisions(figure) == []


def test_the_legend_takes_as_many_columns_as_fit():
    """A long legend is wrapped; one that fits is one line."""
    names = [f"a legend entry of some length, number {i}" for i in range(5)]
    with style.styled():
        for width, rows in ((3.3, 5), (7.0, 2)):
            page = layout.Page(width, "title", "caption", FigureOptions())
            figure, body = page.open(1.0, style.handles(names, width))
            body.subplots()
            layout.freeze(figure)
            (legend,) = figure.findobj(Legend)
            box = legend.get_window_extent()
            assert box.width < figure.bbox.width
            assert round(box.height / (6.8 * 1.4 / 72 * figure.dpi)) == rows


def test_texts_add_to_the_height_and_plots_keep_theirs():
    heights = {}
    with style.styled():
        for caption in ("", "one line", "many lines " * 60):
            page = layout.Page(3.3, "a title", caption, FigureOptions())
            figure, body = page.open(2.0)
            axes = body.subplots()
            layout.freeze(figure)
            heights[caption] = (figure.get_figheight(), axes.get_window_extent().height)
    total, plot = zip(*heights.values(), strict=True)
    assert total[0] < total[1] < total[2] - 1
    assert np.ptp(plot) < 0.02 * plot[0]


def test_positions_are_rounded_before_they_reach_a_file():
    """The solver's eighth digit depends on the order of objects in memory."""
    with style.styled():
        page = layout.Page(3.3, "a title", "a caption", FigureOptions())
        figure, body = page.open(2.0, style.handles(["arm"], 1))
        for axes in body.subplots(2, 2).flat:
            axes.set_ylabel("score")
        layout.freeze(figure)
        FigureCanvasAgg(figure).draw()  # as saving does: it lays nothing out again
    for axes in figure.findobj(Axes):
        bounds = np.array(axes.get_position(original=True).bounds)
        assert np.allclose(bounds, bounds.round(3), rtol=0, atol=1e-9)
    for part in figure.findobj(SubFigure):
        corners = part.bbox_relative.get_points()
        assert np.allclose(corners, corners.round(3), rtol=0, atol=1e-9)


def test_the_paper_in_its_own_geometry():
    frame = bars.paper_rows().assign(study="")
    with style.styled():
        figure = drawing.picture(bars.BARS, frame)
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
        assert covering_slanted(figure) == []


def test_every_panel_of_long_names_has_a_heading_of_its_own(tmp_path: Path):
    categories = tuple(f"questions of the kind that bears the number {i}" for i in range(12))
    folder = figure_tables.write(tmp_path, curves=figure_tables.curves(categories=categories))
    rows = curves.prepare_curves(Sources(folder, FigureOptions())).assign(study="", interval=0.9)
    with style.styled():
        figure = drawing.picture(curves.CURVES, rows)
    panels = [axes for axes in figure.findobj(Axes) if axes.get_visible()]
    titles = [axes.get_title(loc="left") for axes in panels]
    assert len(set(titles)) == len(titles) == 13


def test_only_the_lowest_panel_of_each_column_has_tick_labels(tmp_path: Path):
    folder = figure_tables.write(tmp_path, curves=figure_tables.curves())
    rows = curves.prepare_curves(Sources(folder, FigureOptions())).assign(study="", interval=0.9)
    with style.styled():
        figure = drawing.picture(curves.CURVES, rows)  # 13 panels in 5 columns
    panels = [axes for axes in figure.findobj(Axes) if axes.get_visible()]
    labeled = [axes.xaxis.get_tick_params()["labelbottom"] for axes in panels]
    assert labeled == [False] * 8 + [True] * 5


@pytest.mark.parametrize(
    ("categories", "width", "columns"),
    [(1, 7, 1), (3, 7, 3), (8, 7, 4), (9, 7, 3), (13, 7, 5), (24, 7, 4), (8, 3.3, 2), (9, 3.3, 3)],
)
def test_columns_leave_few_cells_empty(categories: int, width: float, columns: int):
    assert layout._columns(categories, width) == columns
