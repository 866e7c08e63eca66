"""The analysis stands alone, and its docs say what the code says."""

from __future__ import annotations

import subprocess
import sys

from analysis.paper import Assumptions, paper_verdicts


def test_the_analysis_imports_nothing_of_the_orchestrator(root):
    code = (
        "import sys, analysis.__main__, analysis.figures;"
        "sys.exit(any(name.split('.')[0] == 'instruct_scaling' for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_the_page_of_known_answers_holds_what_the_code_prints(root):
    page = (root / "docs" / "known-answers.md").read_text("utf-8")
    for row in paper_verdicts(Assumptions()).itertuples():
        line = next(part for part in page.splitlines() if part.startswith(f"| {row.category} |"))
        assert f"| {row.tail_slope:+.3f} |" in line
        assert f"| {row.verdict} | {row.ladder} |" in line
