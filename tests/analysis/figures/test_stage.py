"""The figures stage as a whole: files, index, names, equal bytes, fonts of the PDF, bad input."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zlib
from pathlib import Path

import pandas as pd
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.t2CharStringPen import T2CharStringPen
from matplotlib import font_manager
from PIL import Image

from analysis.errors import InputError
from analysis.figures import drawing, style, text
from analysis.figures.bars import BARS
from analysis.figures.drawing import draw_all, draw_paper
from analysis.figures.stage import figures, paper_figure
from analysis.options import FigureOptions
from tests.analysis.figures import figure_tables

SMALL = {"categories": ("math", "open_qa"), "arms": ("full", "lora"), "judges": ("llm",)}
FAST = FigureOptions(formats=["png"], dpi=72)


def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "instruct_scaling", "figures", *map(str, arguments)]
    env = os.environ | environment
    return subprocess.run(command, capture_output=True, text=True, check=False, env=env)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with tables/, a pool's audit and the figures/ of both."""
    folder = tmp_path_factory.mktemp("study")
    tables = figure_tables.write(folder / "tables", **figure_tables.study(**SMALL))
    audit = figure_tables.audit(folder / "pools/synthetic/audit.json")
    draw_all(tables, folder / "figures", FAST, [audit], "laptop", 0.9)
    return folder


def test_every_figure_has_its_pictures_and_its_csv(study: Path):
    drawn = study / "figures"
    index = json.loads((drawn / "index.json").read_text())
    assert index["skipped"] == []
    assert [entry["figure"] for entry in index["figures"]] == [
        *("figure14_sufficient", "figure1_bars", "figure1_bars", "figure2_curves"),
        *("figure3_slopes", "figure5a_arms", "figure5b_frontier"),
        *("figure6_variance", "figure6_variance", "figure7_judges"),
        *("figure8_planner", "figure8_planner", "figure9_funnel"),
        *("figure10_validation_loss", "figure11_intermediate_scores"),
        *("figure12_curves_by_tag", "figure12_curves_by_tag", "figure13_axes"),
        *("figure4_extrapolation", "figure4_extrapolation"),
    ]
    for entry in index["figures"]:
        suffixes = [Path(name).suffix for name in entry["files"]]
        assert suffixes == [".csv", ".png"]
        assert all((drawn / name).stat().st_size > 100 for name in entry["files"])
    bars = index["figures"][2]
    assert bars["name"] == "figure1_bars.llm.lora"
    assert (bars["judge"], bars["arm"]) == ("llm", "lora")
    assert bars["caption"].startswith("Judge llm; arm lora; 40 to 41 items per category; 2 seeds")
    listed = {name for entry in index["figures"] for name in entry["files"]}
    assert {path.name for path in drawn.iterdir()} == listed | {"index.json"}


def test_captions_say_of_what_intervals_speak_and_what_is_exploratory(tmp_path: Path):
    made = figure_tables.study(**SMALL)
    judges = list(made["verdicts"]["judge"].unique())
    made["verdicts"] = made["verdicts"].assign(
        family=[
            "primary" if judge == judges[0] else "exploratory"
            for judge in made["verdicts"]["judge"]
        ]
    )
    made["subset_overlap"] = pd.DataFrame(
        {"arms": "full; lora", "scale": [250, 4000], "share_of_pool": [0.02, 0.3], "subsets": 2}
    ).assign(in_common=[0.03, 0.31])
    tables = figure_tables.write(tmp_path / "tables", **made)
    draw_all(tables, tmp_path, FAST, [figure_tables.audit(tmp_path / "audit.json")], "x", 0.9)
    captions = {
        (entry["figure"], entry.get("judge")): entry["caption"]
        for entry in json.loads((tmp_path / "index.json").read_text())["figures"]
    }
    runs = "Intervals speak of new items like these and new runs of this recipe on this pool"
    shared = "two seeds share 3% to 31% of their records"
    for kind in ("figure2_curves", "figure3_slopes", "figure5a_arms", "figure13_axes"):
        found = [text for (name, _), text in captions.items() if name == kind]
        assert found
        assert all(runs in text and shared in text for text in found)
    assert "answered by the models at hand" in captions["figure7_judges", None]
    assert all("Intervals speak" not in captions[name, None] for name in ("figure9_funnel",))
    exploratory = {j: "Exploratory: not among" in captions["figure3_slopes", j] for j in judges}
    assert list(exploratory.values()) == [False] + [True] * (len(judges) - 1)


def test_a_png_has_the_width_and_resolution_of_the_options(study: Path):
    with Image.open(study / "figures/figure3_slopes.llm.png") as image:
        assert image.width == pytest.approx(7.0 * 72, abs=1)


def test_the_command_writes_the_same_bytes_in_another_process(study: Path, tmp_path: Path):
    """Dates, hash seeds and set orders must not reach the files; every option arrives."""
    arguments = ["--tables", study / "tables", "--out", tmp_path, "--title", "laptop"]
    arguments += ["--audit", study / "pools/synthetic/audit.json", "--interval", "0.9"]
    arguments += ["--options", '{"formats": ["png"], "dpi": 72}']
    done = run(*arguments, PYTHONHASHSEED="12345")
    assert done.returncode == 0, done.stderr
    names = sorted(path.name for path in (study / "figures").iterdir())
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    for name in names:
        assert (tmp_path / name).read_bytes() == (study / "figures" / name).read_bytes(), name
    assert [Path(line).name for line in done.stdout.split()][-1] == "index.json"


def test_a_picture_shows_its_csv_file_also_where_names_look_like_numbers(tmp_path: Path):
    """The rows in memory are no source: what the file does not hold is not drawn."""
    shape = {"categories": ("NA", "007"), "arms": ("None", "1e3"), "judges": ("3.50",)}
    tables = figure_tables.study(**shape, scales=(100, 400))
    folder = figure_tables.write(tmp_path / "t", curves=tables["curves"])
    draw_all(folder, tmp_path / "out", FAST)
    for arm in ("None", "1e3"):
        rows = drawing.read_rows(tmp_path / f"out/figure1_bars.3_50.{arm}.csv")
        assert set(rows["category"]) == {"NA", "007", "overall"}
        assert set(rows["arm"]) == {arm}
        assert set(rows["judge"]) == {"3.50"}


def test_the_drawing_is_made_from_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    real = drawing.read_rows
    seen: list[Path] = []
    monkeypatch.setattr(drawing, "read_rows", lambda csv: seen.append(csv) or real(csv))
    draw_paper(tmp_path, FAST)
    assert seen == [tmp_path / "paper_figure1.csv"]


def test_a_pdf_or_svg_holds_neither_date_nor_random_names_and_true_type_fonts(tmp_path: Path):
    options = FigureOptions(formats=["pdf", "svg"])
    first, second = draw_paper(tmp_path / "a", options), draw_paper(tmp_path / "b", options)
    assert [path.suffix for path in first] == [".csv", ".pdf", ".svg"]
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]
    pdf, svg = first[1].read_bytes(), first[2].read_bytes()
    assert b"CreationDate" not in pdf
    assert b"<dc:date>" not in svg
    assert b"/FontFile2" in pdf
    assert b"/Type3" not in pdf


def pdf_streams(folder: Path) -> list[bytes]:
    (path,) = folder.glob("figure1*.pdf")
    pattern = rb"FlateDecode[^\n]*>>\nstream\n(.*?)\nendstream"
    streams = re.findall(pattern, path.read_bytes(), re.DOTALL)
    return [zlib.decompress(stream) for stream in streams]


def draw_category(category: str, tmp_path: Path) -> Path:
    curves = figure_tables.curves(categories=(category,), scales=(100, 200))
    tables = figure_tables.write(tmp_path / "t", curves=curves)
    draw_all(tables, tmp_path / "out", FigureOptions(formats=["pdf"]))
    return tmp_path / "out"


def test_chinese_names_are_text_in_the_pdf_on_every_machine(tmp_path: Path):
    """The shipped font is embedded as TrueType, so that the name can be searched and copied."""
    out = draw_category("数学推理", tmp_path)
    (path,) = out.glob("figure1*.pdf")
    assert b"NotoSansSC" in path.read_bytes()
    assert any(b"<6570>" in stream.lower() for stream in pdf_streams(out))  # its Unicode map


@pytest.fixture
def postscript_font(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A font with PostScript outlines that has one Korean letter, installed on this machine."""
    builder = FontBuilder(1000, isTTF=False)
    builder.setupGlyphOrder([".notdef", "han"])
    builder.setupCharacterMap({ord("한"): "han"})
    pen = T2CharStringPen(1000, None)
    for step, point in enumerate([(100, 0), (100, 700), (900, 700)]):
        (pen.lineTo if step else pen.moveTo)(point)
    pen.closePath()
    letters = dict.fromkeys([".notdef", "han"], pen.getCharString())
    builder.setupCFF("Korean", {}, letters, {})
    builder.setupHorizontalMetrics(dict.fromkeys(letters, (1000, 100)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "SimHei", "styleName": "Regular"})
    builder.setupOS2(sTypoAscender=800, sTypoDescender=-200)
    builder.setupPost()
    path = tmp_path / "korean.otf"
    builder.save(path)
    fonts = font_manager.fontManager
    monkeypatch.setattr(fonts, "ttflist", list(fonts.ttflist))
    fonts.addfont(path)
    font_manager.fontManager._findfont_cached.cache_clear()
    style._installed.cache_clear()
    text._glyphs.cache_clear()
    yield
    font_manager.fontManager._findfont_cached.cache_clear()
    style._installed.cache_clear()
    text._glyphs.cache_clear()


@pytest.mark.usefixtures("postscript_font")
def test_glyphs_of_a_postscript_font_are_drawn_as_outlines(tmp_path: Path):
    """Such a font may not stand in a stream for TrueType; its letter is no longer escaped."""
    out = draw_category("한", tmp_path)
    assert not any(stream.startswith(b"OTTO") for stream in pdf_streams(out))
    with style.styled():
        assert text.printable("한") == "한"
        assert text.needs_outlines("한")
        assert not text.needs_outlines("数学 math\nα")


def test_a_figure_without_data_is_not_drawn_and_the_index_says_why(tmp_path: Path):
    curves = figure_tables.curves(categories=("math",))
    variance = figure_tables.variance(curves).iloc[:0]
    tables = figure_tables.write(tmp_path / "t", curves=curves, variance=variance)
    (tables / "verdicts.csv").write_text("")
    draw_all(tables, tmp_path / "out", FAST, without=["curves"])
    index = json.loads((tmp_path / "out/index.json").read_text())
    reasons = {entry["figure"]: entry["reason"] for entry in index["skipped"]}
    assert index["figures"] == []
    assert len(reasons) == len(drawing.FIGURES)
    assert reasons["figure9_funnel"] == "no pool audit was given (--audit)"
    assert reasons["figure3_slopes"] == "verdicts.csv is empty"
    assert reasons["figure6_variance"] == "variance.csv has no rows"
    assert reasons["figure1_bars"] == "the study has no curves.csv"  # as `without` says
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["index.json"]


def test_pictures_of_an_earlier_run_go_and_foreign_files_stay(tmp_path: Path):
    out = tmp_path / "out"
    curves = figure_tables.curves(categories=("math",), arms=("full", "lora"))
    draw_all(figure_tables.write(tmp_path / "t", curves=curves), out, FAST)
    (out / "figure1_bars.mine.png").write_text("not in the index")
    outside = tmp_path / "keep.csv"
    outside.write_text("outside")
    index = json.loads((out / "index.json").read_text())
    index["figures"][0]["files"] += ["../keep.csv", "notes.csv"]
    (out / "index.json").write_text(json.dumps(index))
    (out / "notes.csv").write_text("no name of this stage")
    one_arm = curves[curves["arm"] == "full"]
    written = draw_all(figure_tables.write(tmp_path / "t", curves=one_arm), out, FAST)
    assert not list(out.glob("*lora*"))
    left = {path.name for path in out.iterdir()} - {path.name for path in written}
    assert left == {"figure1_bars.mine.png", "notes.csv"}
    assert outside.exists()


@pytest.mark.parametrize("content", ["", "[]", '{"figures": [{}]}', '{"figures": 3}'])
def test_an_index_of_something_else_is_no_reason_to_stop(tmp_path: Path, content: str):
    (tmp_path / "index.json").write_text(content)
    assert draw_all(tmp_path, tmp_path, FAST) == [tmp_path / "index.json"]


def test_names_that_look_alike_in_file_names_keep_figures_of_their_own():
    rows = figure_tables.curves(arms=("a b", "a/b"), categories=("math",))
    parts = dict(drawing.split(BARS, rows))
    assert list(parts) == ["figure1_bars.metric.a_b", "figure1_bars.metric.a_b.1"]
    assert [set(part["arm"]) for part in parts.values()] == [{"a b"}, {"a/b"}]


def test_the_papers_figure_is_drawn_without_tables(tmp_path: Path, capsys):
    paper_figure(tmp_path, '{"formats": ["png"], "dpi": 72}')
    names = {"paper_figure1.csv", "paper_figure1.png"}
    assert {path.name for path in tmp_path.iterdir()} == names
    assert {Path(line).name for line in capsys.readouterr().out.split()} == names
    table = pd.read_csv(tmp_path / "paper_figure1.csv")
    assert len(table) == 13 * 4


def test_a_table_without_a_needed_column_is_refused(tmp_path: Path):
    curves = figure_tables.curves().drop(columns="low")
    tables = figure_tables.write(tmp_path, curves=curves)
    with pytest.raises(InputError, match=r"curves\.csv: lacks the columns low"):
        draw_all(tables, tmp_path / "out", FAST)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ('{"dpy": 1}', "did you mean 'dpi'?"),
        ('{"dpi": 1}', "--options: dpi: Input should be greater than or equal to 72"),
        ("{", "--options: JSON: Invalid JSON"),
    ],
)
def test_bad_options_are_refused_with_their_key(tmp_path: Path, options: str, message: str):
    with pytest.raises(InputError, match=re.escape(message)):
        figures(tmp_path, tmp_path, options)
    with pytest.raises(InputError, match=re.escape(message)):
        paper_figure(tmp_path, options)


def test_folders_without_tables_are_refused(tmp_path: Path):
    with pytest.raises(InputError, match="nowhere: no such folder"):
        figures(tmp_path / "nowhere", tmp_path)
    with pytest.raises(InputError, match="no table that a figure is drawn from"):
        figures(tmp_path, tmp_path)


def test_bad_input_is_one_message_and_exit_code_2_before_matplotlib_loads(tmp_path: Path):
    done = run("--tables", tmp_path / "nowhere", "--out", tmp_path, PYTHONVERBOSE="1")
    assert done.returncode == 2
    assert "nowhere: no such folder" in done.stderr
    assert "Traceback" not in done.stderr
    assert "import 'matplotlib'" not in done.stderr


def test_docs_and_report_have_a_text_for_every_figure(root: Path):
    page = (root / "docs/figures.md").read_text("utf-8")
    captions = (root / "workflow/report/figures.rst").read_text("utf-8")
    starts = re.findall(r'^  "(figure\w+)": "', captions, re.MULTILINE)
    for kind in drawing.FIGURES:
        assert f"| `{kind.name}` |" in page
        assert len([start for start in starts if kind.name.startswith(start)]) == 1
