"""Removal of records that give away an eval item."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from instruct_scaling.common.records import EvalItem, Record
from instruct_scaling.config.pool_steps import Decontaminate
from instruct_scaling.data.pool.steps import RecordStep, Removal, comparison_key


class DecontaminateStep(RecordStep):
    """Removes records that repeat an eval prompt or, with `ngram`, share a long run with one.

    Compared are a record's prompt and an item's prompt with its input, both as `comparison_key`.
    Outputs are not compared: short ones ("yes") coincide by nature. `same_prompt`: the keys are
    equal, whatever their length. `shared_run`: `ngram_chars` consecutive characters of the key
    occur in both, and in fewer than `phrase_items` items, for a run that many items have is
    phrasing ("Translate the following sentence into English:") and gives none of them away.

    Args:
        config: method, length of the run, when a run is phrasing.
        items: the whole eval set.
    """

    def __init__(self, config: Decontaminate, items: Iterable[EvalItem]) -> None:
        keys = {item.id: comparison_key(item.full_prompt) for item in items}
        self._prompts: dict[str, str] = {}
        for item_id, text in keys.items():
            self._prompts.setdefault(text, item_id)
        self._runs: RunIndex | None = None
        self.reasons: tuple[str, ...] = ("same_prompt",)
        if config.method == "ngram":
            self._runs = RunIndex(keys, config.ngram_chars, config.phrase_items)
            self.reasons = ("same_prompt", "shared_run")

    def apply(self, record: Record) -> Record | Removal:
        """The record, or the item that it gives away."""
        text = comparison_key(record.prompt)
        item = self._prompts.get(text)
        if item is not None:
            return Removal("same_prompt", item)
        if self._runs is not None:
            item = self._runs.find(text)
            if item is not None:
                return Removal("shared_run", item)
        return record


class RunIndex:
    """Finds whether a text shares a run of n characters with any of the indexed texts.

    Every window of n characters of the indexed texts is known. Looking up every window of every
    record is slow, so blocks of half the length are looked up first, at every (n/2)-th position
    of the record: a shared run of n characters always covers one of these blocks whole. Only
    where a block is found is every window looked up, so the result is exact.

    Args:
        texts: id -> text.
        n: length of the run in characters.
        phrase_items: a window that this many texts have is left out.
    """

    def __init__(self, texts: dict[str, str], n: int, phrase_items: int) -> None:
        self._n = n
        self._block = (n + 1) // 2
        owners: dict[str, set[str]] = defaultdict(set)
        for text_id, text in texts.items():
            for window in _windows(text, n):
                owners[window].add(text_id)
        self._owner = {
            window: min(ids) for window, ids in owners.items() if len(ids) < phrase_items
        }
        self._blocks = {block for window in self._owner for block in _windows(window, self._block)}

    def find(self, text: str) -> str | None:
        """Id of a text that shares a run with this one, None if there is none."""
        width, blocks = self._block, self._blocks
        starts = range(0, len(text) - width + 1, width)
        if not any(text[start : start + width] in blocks for start in starts):
            return None
        found = (self._owner.get(window) for window in _windows(text, self._n))
        return next((owner for owner in found if owner is not None), None)


def _windows(text: str, n: int) -> Iterator[str]:
    return (text[start : start + n] for start in range(len(text) - n + 1))
