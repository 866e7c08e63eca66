"""By hand: `python -m tests.slurm up [accounting]` and `python -m tests.slurm down`."""

from __future__ import annotations

import sys

from tests.slurm.cluster import start, stop

USAGE = "usage: python -m tests.slurm up [accounting] | down"


def main(words: list[str]) -> int:
    """Start or take down the cluster."""
    match words:
        case ["up", *rest] if rest in ([], ["accounting"]):
            try:
                cluster = start(bool(rest), {}, owner=0)
            except RuntimeError as error:
                print(f"error: {error}", file=sys.stderr)
                return 2
            print(f"up: {' '.join(cluster.states())}; folder that all nodes see: {cluster.shared}")
        case ["down"]:
            stop()
        case _:
            print(USAGE, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
