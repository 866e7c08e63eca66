"""The examples of a run: rows of its pool's token store, found by the ids of a subset."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from instruct_scaling.common.errors import InputError
from instruct_scaling.data.tokens.stage import tokens_identity
from instruct_scaling.data.tokens.store import (
    FLAGS,
    TokenStore,
    id_text,
    id_words,
    open_store,
)

REBUILD = "run the workflow again, which makes the token store of this pool (stage tokens)"


@dataclass(frozen=True, slots=True)
class Counts:
    """What the examples hold, each counted once; all but `examples` are for the record only."""

    examples: int
    tokens: int
    supervised_tokens: int
    prompts_cut: int
    answers_cut: int
    in_pieces: int
    longest: int


@dataclass(frozen=True)
class Examples:
    """Distinct examples in a stated order.

    `ids` [n, 2] uint64 are the halves of their ids, `rows` [n] int64 their rows in the store;
    `repeats` [n] int64 is how often each occurs in a pass, `phases` [n] int64 in which phase.
    """

    store: TokenStore
    ids: np.ndarray
    rows: np.ndarray
    repeats: np.ndarray
    phases: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def lengths(self) -> np.ndarray:
        """Tokens of each example, [n] int64."""
        return self.store.lengths(self.rows)

    @cached_property
    def supervised(self) -> np.ndarray:
        """Supervised tokens of each example, [n] int64."""
        return self.store.supervised(self.rows)

    @cached_property
    def counts(self) -> Counts:
        """Sums over the examples."""
        flags = self.store.flags[self.rows]
        having = {name: int(np.count_nonzero(flags & bit)) for name, bit in FLAGS.items()}
        return Counts(
            examples=len(self),
            tokens=int(self.lengths.sum()),
            supervised_tokens=int(self.supervised.sum()),
            prompts_cut=having["prompt_cut"],
            answers_cut=having["answer_cut"],
            in_pieces=having["in_pieces"],
            longest=int(self.lengths.max()),
        )

    @cached_property
    def digest(self) -> str:
        """SHA-256 of ids, repeats and phases in their order: what of the subset decides a run. Its
        file also states the size of the pool, which decides nothing."""
        found = hashlib.sha256()
        for column in (self.ids, self.repeats, self.phases):
            found.update(column.astype("<u8").tobytes())
        return found.hexdigest()

    def sequence(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Tokens [length] of an example and its supervised spans [turns, 2]."""
        return self.store.sequence(self.rows[index])

    def id(self, index: int) -> str:
        """The id of an example's record."""
        return id_text(self.ids[index])


def fitting_store(
    folder: Path, base: Path, template: str, max_length: int, supervise: str
) -> TokenStore:
    """Map the store of a run's tokens.

    Raises:
        InputError: there is none, or it was made for another tokenizer, template, longest example
            or choice of supervised turns.
    """
    store = open_store(folder)
    wanted = tokens_identity(base, template, max_length, supervise)
    differs = [key for key, value in wanted.items() if store.identity.get(key) != value]
    if differs:
        raise InputError(
            f"the token store was made with another {', '.join(differs)} than this run has",
            where=folder,
            fix="make a store with the run's own base, --template, --max-length and --supervise "
            "(stage tokens)",
        )
    return store


def find_examples(store: TokenStore, path: Path) -> Examples:
    """The examples of a Parquet file with a column `id`, in its order, each once.

    Raises:
        InputError: the file is missing or empty, or the store lacks one of its ids.
    """
    if not path.exists():
        raise InputError("no such file or folder", where=path)
    with pq.ParquetFile(path) as file:
        batches = file.iter_batches(columns=["id"])
        blocks = [id_words(batch.column("id"), path) for batch in batches]
    ids = np.concatenate([np.empty((0, 2), np.uint64), *blocks])
    if len(ids) == 0:
        raise InputError("the subset holds no records", where=path)
    rows = store.find(ids)
    missing = np.flatnonzero(rows < 0)
    if len(missing):
        raise InputError(
            f"{len(missing)} of {len(ids)} ids are not in the token store, the first is "
            f"{id_text(ids[missing[0]])}",
            where=path,
            fix=REBUILD,
        )
    ones = np.ones(len(ids), np.int64)
    return Examples(store, ids, rows, repeats=ones, phases=ones - 1)


def subset_examples(store: TokenStore, path: Path) -> Examples:
    """The examples of a subset.parquet: `find_examples` with the columns `repeats` and `phase`.

    Raises:
        InputError: see `find_examples`; or a column is missing, a repeat below 1, a phase below 0.
    """
    examples = find_examples(store, path)
    names = ["repeats", "phase"]
    missing = set(names) - set(pq.read_schema(path).names)
    if missing:
        raise InputError(
            f"the subset has no column {min(missing)}", where=path, fix="make the subset again"
        )
    table = pq.read_table(path, columns=names)
    repeats, phases = (table[name].to_numpy().astype(np.int64) for name in names)
    if repeats.min() < 1 or phases.min() < 0:
        raise InputError(
            "a repeat is below 1, or a phase below 0", where=path, fix="make the subset again"
        )
    return replace(examples, repeats=repeats, phases=phases)
