"""The figures stage as a whole: files, index, redrawing from CSV, equal bytes, bad input."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zlib
from pathlib import Path

import pandas as pd
import pytest

from analysis.errors import InputError
from analysis.figures import draw_all, draw_paper
from analysis.figures.drawing import FIGURES, redraw
from analysis.options import FigureOptions
from tests.analysis.figures import figure_tables

SMALL = {"categories": ("math", "open_qa"), "arms": ("full", "lora"), "judges": ("llm",)}
FAST = FigureOptions(formats=["png"], dpi=72)


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "instruct_scaling", "figures", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    tables = figure_tables.write(folder / "tables", **figure_tables.study(**SMALL))
    audit = figure_tables.audit(folder / "pools/embedded/audit.json")
    draw_all(tables, folder / "figures", FAST, [audit], "laptop", 0.9)
    return folder / "figures"


def test_every_figure_has_its_pictures_and_its_csv(drawn: Path):
    index = json.loads((drawn / "index.json").read_text())
    assert index["skipped"] == []
    assert {entry["figure"] for entry in index["figures"]} == {f.NAME for f in FIGURES}
    for entry in index["figures"]:
        suffixes = {Path(name).suffix for name in entry["files"]}
        assert suffixes == {".csv", ".png"}
        assert all((drawn / name).stat().st_size > 100 for name in entry["files"])


def test_every_picture_can_be_drawn_again_from_its_csv_alone(drawn: Path, tmp_path: Path):
    modules = {module.NAME: module for module in FIGURES}
    index = json.loads((drawn / "index.json").read_text())
    for entry in index["figures"]:
        csv = drawn / f"{entry['name']}.csv"
        again = redraw(modules[entry["figure"]], csv, tmp_path, FAST)
        for path in again:
            assert path.read_bytes() == (drawn / path.name).read_bytes(), path.name


@pytest.mark.slow
def test_another_process_writes_the_same_bytes(tmp_path: Path):
    """Dates, hash seeds and set orders must not reach the files."""
    tables = figure_tables.write(tmp_path / "tables", **figure_tables.study(**SMALL))
    audit = figure_tables.audit(tmp_path / "pools/embedded/audit.json")
    here, there = tmp_path / "here", tmp_path / "there"
    draw_all(tables, here, FigureOptions(dpi=72), [audit], "laptop", 0.9)
    arguments = ["--tables", tables, "--out", there, "--audit", audit, "--title", "laptop"]
    done = run(*arguments, "--interval", "0.9", "--options", '{"dpi": 72}')
    assert done.returncode == 0, done.stderr
    names = sorted(path.name for path in here.iterdir())
    assert sorted(path.name for path in there.iterdir()) == names
    for name in names:
        assert (there / name).read_bytes() == (here / name).read_bytes(), name


def test_pdf_fonts_are_embedded_as_true_type_and_no_date_is_written(tmp_path: Path):
    (path,) = (p for p in draw_paper(tmp_path) if p.suffix == ".pdf")
    content = path.read_bytes()
    assert b"/FontFile2" in content
    assert b"/Type3" not in content
    assert b"CreationDate" not in content


def test_chinese_names_are_drawn_in_pdf_with_a_font_that_readers_accept(tmp_path: Path):
    """No font with PostScript outlines ("OTTO") may stand in a stream for TrueType."""
    curves = figure_tables.curves(categories=("数学推理",), scales=(100, 200))
    tables = figure_tables.write(tmp_path / "t", curves=curves)
    draw_all(tables, tmp_path / "out", FigureOptions(formats=["pdf"]))
    (path,) = (tmp_path / "out").glob("figure1*.pdf")
    content = path.read_bytes()
    streams = re.findall(rb"FlateDecode[^\n]*>>\nstream\n(.*?)\nendstream", content, re.DOTALL)
    assert streams
    assert not any(zlib.decompress(stream).startswith(b"OTTO") for stream in streams)


def test_a_figure_without_data_is_not_drawn_and_the_index_says_why(tmp_path: Path):
    tables = figure_tables.write(tmp_path / "t", curves=figure_tables.curves())
    (tables / "verdicts.csv").write_text("")
    draw_all(tables, tmp_path / "out", FAST)
    index = json.loads((tmp_path / "out/index.json").read_text())
    reasons = {entry["figure"]: entry["reason"] for entry in index["skipped"]}
    assert reasons["figure9_funnel"] == "no pool audit was given (--audit)"
    assert not list((tmp_path / "out").glob("figure9*"))
    assert {entry["figure"] for entry in index["figures"]} >= {"figure1_bars", "figure2_curves"}


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
    out = tmp_path / "out"
    out.mkdir()
    (out / "index.json").write_text(content)
    curves = figure_tables.curves(categories=("math",), scales=(100, 200))
    assert draw_all(figure_tables.write(tmp_path / "t", curves=curves), out, FAST)


def test_names_that_look_alike_in_file_names_keep_figures_of_their_own(tmp_path: Path):
    tables = figure_tables.write(tmp_path, curves=figure_tables.curves(arms=("a b", "a/b")))
    draw_all(tables, tmp_path / "out", FAST)
    index = json.loads((tmp_path / "out/index.json").read_text())
    bars = [entry for entry in index["figures"] if entry["figure"] == "figure1_bars"]
    assert [entry["arm"] for entry in bars] == ["a b", "a/b"]
    assert len({entry["name"] for entry in bars}) == 2


def test_options_choose_the_formats(tmp_path: Path):
    tables = figure_tables.write(tmp_path / "t", curves=figure_tables.curves(categories=("math",)))
    files = draw_all(tables, tmp_path / "out", FigureOptions(formats=["svg"]))
    assert {path.suffix for path in files} == {".csv", ".svg", ".json"}


def test_the_papers_figure_is_drawn_without_tables(tmp_path: Path):
    done = run("paper", "--out", tmp_path, "--options", '{"formats": ["png"]}')
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"paper_figure1.csv", "paper_figure1.png"}
    table = pd.read_csv(tmp_path / "paper_figure1.csv")
    assert len(table) == 13 * 4


def test_equal_drawings_of_the_paper_are_equal_bytes(tmp_path: Path):
    first = draw_paper(tmp_path / "a")
    second = draw_paper(tmp_path / "b")
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]


def test_a_table_without_a_needed_column_is_refused(tmp_path: Path):
    curves = figure_tables.curves().drop(columns="low")
    tables = figure_tables.write(tmp_path, curves=curves)
    with pytest.raises(InputError, match=r"curves\.csv: lacks the columns low"):
        draw_all(tables, tmp_path / "out", FAST)


@pytest.mark.parametrize(
    ("content", "message"),
    [("{", "not valid JSON"), ("{}", "not the audit"), ("[]", "not the audit")],
)
def test_a_broken_audit_is_refused(tmp_path: Path, content: str, message: str):
    (tmp_path / "audit.json").write_text(content)
    tables = figure_tables.write(tmp_path / "t", curves=figure_tables.curves(categories=("math",)))
    with pytest.raises(InputError, match=message):
        draw_all(tables, tmp_path / "out", FAST, [tmp_path / "audit.json"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--tables", "nowhere", "--out", "out"), "error: nowhere: no such folder"),
        (("--tables", ".", "--out", "o"), "error: .: no table that a figure is drawn from"),
        (("--tables", ".", "--out", "o", "--options", '{"dpy": 1}'), "did you mean 'dpi'?"),
        (("--tables", ".", "--out", "o", "--options", "{"), "error: figures"),
    ],
)
def test_bad_input_is_one_message_and_exit_code_2(
    arguments: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    done = run(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
