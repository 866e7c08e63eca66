"""Looks are kept, counted once each, and shared alpha over where the options say so."""

from __future__ import annotations

import pytest

from analysis import cli
from analysis.errors import InputError
from analysis.inference.looks import Look, look_rows, options_at, read_looks, record_looks
from analysis.inference.spending import nominal_levels
from analysis.options import CurveOptions
from analysis.pipeline import analyze
from tests.analysis.score_tables import checked, table

MEANS = {"math": [0.3, 0.35, 0.4, 0.43, 0.45], "code": [0.5, 0.5, 0.52, 0.5, 0.51]}
SPENT = CurveOptions(looks={"spending": "obrien_fleming", "planned": 5})
PLAIN = CurveOptions()


def look(seeds: int, arm: str = "full") -> Look:
    return Look("exact", arm, seeds)


def test_a_look_is_recorded_once_and_never_lost(tmp_path):
    path = tmp_path / "study" / "looks.jsonl"
    assert read_looks(path) == []
    record_looks(path, [look(3)], PLAIN)
    text = path.read_text("utf-8")
    record_looks(path, [look(3)], PLAIN)
    assert path.read_text("utf-8") == text
    record_looks(path, [look(5), look(3, "lora")], SPENT)
    assert path.read_text("utf-8").startswith(text)
    assert read_looks(path) == [look(3), look(5), look(3, "lora")]


@pytest.mark.parametrize("line", ["{", "3", '{"judge": "exact", "arm": "full"}'])
def test_a_broken_file_is_named_with_its_line(tmp_path, line):
    path = tmp_path / "looks.jsonl"
    record_looks(path, [look(3)], PLAIN)
    path.write_text(path.read_text("utf-8") + line + "\n", "utf-8")
    with pytest.raises(InputError, match=r"looks\.jsonl, line 2: not a look"):
        read_looks(path)


def test_without_spending_looks_are_counted_with_what_they_do_to_the_error():
    rows = look_rows([look(5)], [look(3), look(4), look(9, "lora")], PLAIN)
    assert [row["seeds"] for row in rows] == [3, 4, 5]
    assert [row["level"] for row in rows] == pytest.approx([0.05] * 3)
    assert [row["false_claims"] for row in rows] == pytest.approx([0.05, 0.071, 0.086], abs=0.001)
    assert options_at(look(5), [look(3)], PLAIN) == PLAIN


def test_one_seed_makes_no_claim_and_no_error():
    first, second = look_rows([look(2)], [look(1)], PLAIN)
    assert (first["false_claims"], first["note"]) == (0.0, "one seed: no claim is made")
    assert second["false_claims"] == pytest.approx(0.05)


def test_with_spending_the_interval_is_that_of_the_look():
    levels = nominal_levels([0.6, 1.0], 0.05, "obrien_fleming")
    first = options_at(look(3), [], SPENT)
    assert first.interval == pytest.approx(1 - 2 * levels[0])
    assert options_at(look(5), [look(3)], SPENT).level == pytest.approx(levels[1])
    assert options_at(look(5), [], SPENT).level == pytest.approx(0.05)  # one look, at the end
    rows = look_rows([look(5)], [look(3)], SPENT)
    assert [row["spent"] for row in rows] == pytest.approx([row["false_claims"] for row in rows])


def test_more_seeds_than_planned_are_refused():
    with pytest.raises(InputError, match="6 seeds, and 5 were planned"):
        options_at(look(6), [], SPENT)


def test_seeds_that_were_taken_out_again_are_said():
    (row,) = look_rows([look(3)], [look(5)], PLAIN)
    assert row["note"] == "more seeds were looked at before: 5"


def test_spending_needs_a_plan():
    with pytest.raises(ValueError, match="spending needs `planned`"):
        CurveOptions(looks={"spending": "pocock"})


def test_claims_at_an_early_look_are_harder_to_make():
    scores = checked(MEANS, seeds=3)
    plain, early = (analyze(scores, options)["verdicts"] for options in (PLAIN, SPENT))
    assert (early["tail_low"] < plain["tail_low"]).all()
    assert (early["tail_high"] > plain["tail_high"]).all()


def test_tables_of_equal_looks_are_equal_in_every_byte_and_extension_is_seen(tmp_path):
    def write(seeds: int) -> dict[str, bytes]:
        table(MEANS, seeds=seeds).to_csv(tmp_path / "scores.csv", index=False)
        out, looks = tmp_path / "tables", tmp_path / "looks.jsonl"
        arguments = [str(tmp_path / "scores.csv"), "--out", str(out), "--looks", str(looks)]
        assert cli.main([*arguments, "--no-figures"]) == 0
        return {path.name: path.read_bytes() for path in sorted(out.rglob("*.csv"))}

    first = write(3)
    assert write(3) == first
    extended = write(4)
    assert write(4) == extended
    assert extended["looks.csv"].count(b"\n") == 3
