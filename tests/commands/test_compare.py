"""`compare A B` on two small results folders."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from analysis.options import CurveOptions
from analysis.pipeline import analyze
from analysis.scores import check_scores
from analysis.tables import write_tables
from instruct_scaling.commands.compare import compare
from instruct_scaling.common.errors import InputError
from instruct_scaling.config.differences import ABSENT, differences
from tests.analysis.score_tables import table

FLAT, RISING = [0.5] * 5, [0.3, 0.36, 0.42, 0.48, 0.54]
CONFIG = {"study": "one", "ladder": {"scales": [1, 2]}, "budget": {"mfu": 0.4}}


@pytest.fixture
def folders(tmp_path):
    """Two studies: math rises in the first and is flat in the second."""
    for seed, (name, math) in enumerate({"one": RISING, "two": FLAT}.items()):
        scores = table({"math": math, "code": FLAT}, items=80, seeds=4, noise=0.03, seed=seed)
        folder = tmp_path / name
        write_tables(analyze(check_scores(scores), CurveOptions()), folder / "tables")
        scores.to_parquet(folder / "tables" / "scores.parquet")
        config = CONFIG | {"study": name, "seeds": {"study": seed}}
        (folder / "config.json").write_text(json.dumps(config), "utf-8")
    return tmp_path / "one", tmp_path / "two"


def test_two_studies_are_printed_side_by_side(folders, tmp_path, capsys):
    compare(*folders, out=tmp_path / "deep" / "rows.csv", every=True, interval=0.9, power=0.8)
    text = capsys.readouterr().out
    assert "configs: 1 differences" in text
    assert [line.split() for line in text.splitlines() if "seeds.study" in line] == [
        ["seeds.study", "0", "1"]
    ]
    assert "scores: 15 rows, 15 shown" in text
    changed = text[text.index("verdicts:") :]
    (line,) = [line for line in changed.splitlines() if " math " in line]
    assert line.split()[:5] == ["exact", "full", "math", "improving", "flat"]
    rows = pd.read_csv(tmp_path / "deep" / "rows.csv")
    last = rows[(rows["category"] == "math") & (rows["scale"] == 4000)].iloc[0]
    assert last["low"] < -0.04 + 0.03
    assert last["q_value"] < 0.01
    assert last["paired"]


def test_overall_alone_is_printed_by_default(folders, capsys):
    compare(*folders, out=None, every=False, interval=0.9, power=0.8)
    text = capsys.readouterr().out
    assert "scores: 15 rows, 5 shown" in text


def test_scales_that_one_study_lacks_are_named(folders, capsys):
    path = folders[1] / "tables" / "scores.parquet"
    scores = pd.read_parquet(path)
    scores[scores["scale"] != 4000].to_parquet(path)
    compare(*folders, out=None, every=False, interval=0.9, power=0.8)
    assert "scales of one study alone, not compared: A 4,000; B none" in capsys.readouterr().out
    compare(folders[0], folders[0], out=None, every=False, interval=0.9, power=0.8)
    assert "one study alone" not in capsys.readouterr().out


@pytest.mark.parametrize("lacks", ["scores.parquet", "verdicts.csv"])
def test_a_folder_of_no_finished_study_is_refused(folders, lacks):
    (folders[1] / "tables" / lacks).unlink()
    with pytest.raises(InputError, match=rf"finished study: lacks tables/{lacks}"):
        compare(*folders, out=None, every=False, interval=0.9, power=0.8)
    with pytest.raises(InputError, match="no such folder"):
        compare(folders[0] / "none", folders[1], None, False, 0.9, 0.8)


def test_a_study_without_a_snapshot_of_its_config_says_so(folders, capsys):
    (folders[0] / "config.json").unlink()
    compare(*folders, out=None, every=False, interval=0.9, power=0.8)
    assert f"configs: not compared, no config.json in {folders[0]}" in capsys.readouterr().out


def test_configs_differ_key_by_key():
    steps = [{"type": "filter", "min": 1}, {"type": "deduplicate"}]
    first = CONFIG | {"pools": {"own": {"steps": steps}}, "arms": {"a": {"base": "x"}}}
    second = CONFIG | {
        "study": "two",
        "budget": {"mfu": 0.1},
        "pools": {"own": {"steps": [{"type": "filter", "min": 2}, {"type": "deduplicate"}]}},
        "ladder": {"scales": [1, 4]},
    }
    assert differences(first, second) == [
        ("arms.a.base", "x", ABSENT),
        ("ladder.scales", [1, 2], [1, 4]),
        ("pools.own.steps.0.min", 1, 2),
    ]
    assert differences(first, first) == []
