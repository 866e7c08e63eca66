"""Prints the agreement with the gold answers and every miss; `--write` renews docs/gold.md."""

from __future__ import annotations

import argparse
from pathlib import Path

from tests.gold.agreement import read_gold, table, try_all
from tests.gold.page import FILE, page


def main() -> None:
    """Score the answers of a folder; write the docs page or print it."""
    parser = argparse.ArgumentParser(prog="python -m tests.gold", description=__doc__)
    parser.add_argument("--write", action="store_true", help="renew docs/gold.md")
    parser.add_argument("--folder", type=Path, help="other answers, in the same form")
    options = parser.parse_args()
    tried = try_all(read_gold(options.folder) if options.folder else read_gold())
    if options.write:
        FILE.write_text(page(tried), "utf-8")
        print(table(tried))
    else:
        print(page(tried))


if __name__ == "__main__":
    main()
