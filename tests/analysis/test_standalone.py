"""The analysis is a package of its own."""

from __future__ import annotations

import subprocess
import sys


def test_the_analysis_imports_nothing_of_the_orchestrator(root):
    code = (
        "import sys, analysis.cli, analysis.figures.drawing;"
        "sys.exit(any(name.split('.')[0] == 'instruct_scaling' for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
