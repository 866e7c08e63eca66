"""The last lines of a test run: what was not tested, and the command that installs what is missing.

A test run that skips a third of its tests on a bare machine and prints only "passed" would hide it.
"""

from __future__ import annotations

import re
from collections import Counter

# What a skip reason says is missing -> Debian packages that provide it.
DEBIAN_PACKAGES = {
    r"bubblewrap": ("bubblewrap",),
    r"chromium": ("chromium", "chromium-driver"),
    r"SLURM": ("slurm-wlm", "munge"),
}


def counted(skipped: list) -> Counter[str]:
    """Skip reasons and how many tests gave each."""
    reasons: Counter[str] = Counter()
    for report in skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reasons[reason.removeprefix("Skipped: ")] += 1
    return reasons


def summary_lines(reasons: Counter[str]) -> list[str]:
    """Lines for the end of a test run; none if nothing was skipped."""
    if not reasons:
        return []
    lines = [f"not tested on this machine ({sum(reasons.values())} tests):"]
    lines += [f"  {count:>3}  {reason}" for reason, count in sorted(reasons.items())]
    packages = sorted(
        {
            package
            for pattern, provided in DEBIAN_PACKAGES.items()
            for reason in reasons
            if re.search(pattern, reason)
            for package in provided
        }
    )
    if packages:
        lines.append(f"to test more: sudo apt-get install {' '.join(packages)}")
    return lines
