"""The examples of a subset as arrays: written once, mapped by every rank."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import atomic_path
from instruct_scaling.common.records import Record
from instruct_scaling.data.encoding import Encoded
from instruct_scaling.data.pool.store import read_records


@dataclass(frozen=True, slots=True)
class Counts:
    """What tokenizing did to the subset; all but `examples` are for the record only."""

    examples: int
    tokens: int
    supervised_tokens: int
    prompts_cut: int
    answers_cut: int
    longest: int


@dataclass(frozen=True)
class Examples:
    """All examples of a subset in its order; arrays are mapped from disk.

    `tokens` [sum of lengths] int32, `offsets` [n + 1] int64; supervised `spans` [all spans, 2]
    int32, (start, stop) within their example, `span_offsets` [n + 1] int64.
    """

    ids: list[str]
    tokens: np.ndarray
    offsets: np.ndarray
    spans: np.ndarray
    span_offsets: np.ndarray
    counts: Counts

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each example, [n] int64."""
        return np.diff(self.offsets)

    @property
    def supervised(self) -> np.ndarray:
        """Supervised tokens of each example, [n] int64."""
        sizes = np.diff(self.spans.astype(np.int64), axis=1)[:, 0]
        return np.diff(np.concatenate([[0], np.cumsum(sizes)])[self.span_offsets])

    def sequence(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Tokens [length] of an example and its supervised spans [turns, 2]."""
        start, stop = self.offsets[index], self.offsets[index + 1]
        first, last = self.span_offsets[index], self.span_offsets[index + 1]
        return self.tokens[start:stop], self.spans[first:last]


def subset_records(records: Path, subset: Path) -> list[Record]:
    """The records of a subset (or of any Parquet file with ids), in its order.

    Raises:
        InputError: a file is missing, the subset is empty, or one of its ids is not in the pool.
    """
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    for path in (records, subset):
        if not path.exists():
            raise InputError("no such file or folder", where=path)
    pool = pq.read_table(records, columns=["id"])
    wanted = pq.read_table(subset, columns=["id"])["id"]
    if len(wanted) == 0:
        raise InputError("the subset holds no records", where=subset)
    positions = pc.index_in(wanted, value_set=pool["id"])
    if positions.null_count:
        missing = wanted.filter(positions.is_null())
        raise InputError(
            f"{len(missing)} of {len(wanted)} ids are not in the pool, the first is {missing[0]}",
            where=subset,
            fix="make the subset from this pool (remove the file and run the workflow again)",
        )
    return read_records(records, wanted.to_pylist())


def write_examples(folder: Path, ids: Sequence[str], encoded: Iterator[Encoded]) -> None:
    """Write the arrays of `Examples` to `folder`, whole or not at all."""
    parts, spans, lengths, turns = [], [], [], []
    prompts_cut = answers_cut = 0
    for example in encoded:
        parts.append(example.tokens)
        spans.append(example.spans)
        lengths.append(len(example.tokens))
        turns.append(len(example.spans))
        prompts_cut += example.prompt_cut
        answers_cut += example.answer_cut
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    all_spans = np.concatenate(spans)
    counts = Counts(
        examples=len(lengths),
        tokens=int(offsets[-1]),
        supervised_tokens=int(np.diff(all_spans, axis=1).sum()),
        prompts_cut=prompts_cut,
        answers_cut=answers_cut,
        longest=max(lengths),
    )
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        np.save(temporary / "tokens.npy", np.concatenate(parts))
        np.save(temporary / "offsets.npy", offsets)
        np.save(temporary / "spans.npy", all_spans)
        np.save(temporary / "span_offsets.npy", np.concatenate([[0], np.cumsum(turns)]))
        (temporary / "ids.json").write_text(json.dumps(list(ids)), "utf-8")
        (temporary / "counts.json").write_text(json.dumps(asdict(counts)), "utf-8")


def load_examples(folder: Path) -> Examples:
    """Map what `write_examples` wrote."""
    return Examples(
        ids=json.loads((folder / "ids.json").read_text("utf-8")),
        tokens=np.load(folder / "tokens.npy", mmap_mode="r"),
        offsets=np.load(folder / "offsets.npy", mmap_mode="r"),
        spans=np.load(folder / "spans.npy", mmap_mode="r"),
        span_offsets=np.load(folder / "span_offsets.npy", mmap_mode="r"),
        counts=Counts(**json.loads((folder / "counts.json").read_text("utf-8"))),
    )
