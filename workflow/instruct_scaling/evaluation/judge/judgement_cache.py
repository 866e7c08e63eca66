"""Judgements kept one by one, so that a stopped judge goes on where it was."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from types import TracebackType

from instruct_scaling.common.records import Judgement

log = logging.getLogger(__name__)

# Asking again may help with these; everything else is finished.
TRANSIENT = frozenset({"http_error", "timeout"})


class JudgementCache:
    """An append-only file of (key, judgement). Opened as a context; lines are flushed at once.

    A line that was torn when a process was killed is dropped, wherever it stands.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.done: dict[str, Judgement] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            self._load()
        self._handle = path.open("a", encoding="utf-8")
        self._handle.write("\n")  # ends a torn line

    def _load(self) -> None:
        for line in self.path.read_text("utf-8", errors="replace").splitlines():
            if not line.strip():
                continue
            try:
                row = json.loads(line)
                judgement = Judgement(**row["judgement"])
                if judgement.status not in TRANSIENT:
                    self.done[row["key"]] = judgement
            except (json.JSONDecodeError, KeyError, TypeError):
                log.warning("%s: dropped a line that was cut off", self.path)

    def add(self, key: str, judgement: Judgement) -> None:
        """Keep a judgement."""
        row = {"key": key, "judgement": judgement.to_row()}
        self._handle.write(json.dumps(row, ensure_ascii=False) + "\n")
        self._handle.flush()
        self.done[key] = judgement

    def __enter__(self) -> JudgementCache:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._handle.close()
