"""Of what the intervals of each table speak, with what the seeds share."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis.errors import InputError
from analysis.estimand import estimand_rows, read_overlap, sentence, shares, with_intervals
from analysis.options import CurveOptions
from analysis.pipeline import analyze
from tests.analysis.score_tables import checked

OVERLAP = pd.DataFrame({"arms": "full", "scale": [100, 400], "share_of_pool": [0.25, 1.0]}).assign(
    subsets=2, in_common=[0.26, 1.0]
)


def test_every_table_with_intervals_says_of_what_they_speak():
    tables = analyze(checked({"math": [0.3, 0.4]}, scales=(1, 2)), CurveOptions(), overlap=OVERLAP)
    found = tables["estimand"]
    assert list(found["table"]) == with_intervals()
    assert {"curves", "verdicts", "comparisons", "matched", "judges"} <= set(found["table"])
    assert found["speaks_of"].str.startswith("new items like these").all()
    by_table = found.set_index("table")
    assert "new runs of this recipe on this pool" in by_table.loc["verdicts", "speaks_of"]
    assert "models at hand" in by_table.loc["judges", "speaks_of"]
    assert by_table.loc["curves", ["shared_least", "shared_most"]].tolist() == [0.26, 1.0]
    assert by_table.loc["judges", ["shared_least", "shared_most"]].isna().all()


def test_with_one_seed_nothing_is_said_of_other_runs():
    for row in estimand_rows(1, OVERLAP, False):
        assert "new runs" not in row["speaks_of"]
    assert "very runs" in sentence("curves", 1, OVERLAP)
    assert "share" not in sentence("curves", 1, OVERLAP)


def test_shares_are_measured_else_expected_and_whole_where_one_subset_serves_all_seeds():
    assert shares(None) == pytest.approx((np.nan, np.nan), nan_ok=True)
    assert shares(OVERLAP.assign(in_common=np.nan)) == (0.25, 1.0)
    one = OVERLAP.assign(subsets=1, in_common=np.nan)
    assert shares(one) == (1.0, 1.0)
    assert "all seeds train on the same records" in estimand_rows(3, one, False)[0]["note"]
    assert sentence("curves", 3, one).endswith("two seeds share 100% of their records.")


def test_intervals_over_all_looks_say_so():
    assert "over all planned looks at once" in sentence("curves", 3, None, True)
    by_table = {row["table"]: row["looks"] for row in estimand_rows(3, None, True)}
    assert by_table["curves"] == "all planned ones at once"
    assert by_table["judges"] == "one look"


def test_a_file_of_something_else_is_named(tmp_path):
    (tmp_path / "overlap.csv").write_text("arms,scale\nfull,1\n", "utf-8")
    with pytest.raises(InputError, match="lacks the columns share_of_pool"):
        read_overlap(tmp_path / "overlap.csv")
