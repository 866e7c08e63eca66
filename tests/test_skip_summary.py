"""What a test run says about the tests that it skipped."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace

from tests.skip_summary import counted, summary_lines


def test_reasons_are_counted_with_the_command_that_installs_what_is_missing():
    reports = [SimpleNamespace(longrepr=("t.py", 1, "Skipped: bubblewrap is not installed"))] * 2
    reports += [SimpleNamespace(longrepr=("t.py", 2, "Skipped: needs a GPU"))]
    lines = summary_lines(counted(reports))
    assert lines[0] == "not tested on this machine (3 tests):"
    assert "    2  bubblewrap is not installed" in lines
    assert lines[-1] == "to test more: sudo apt-get install bubblewrap"


def test_no_command_is_given_where_no_package_helps():
    assert summary_lines(Counter({"needs a GPU": 3}))[-1] == "    3  needs a GPU"
    assert summary_lines(Counter()) == []
