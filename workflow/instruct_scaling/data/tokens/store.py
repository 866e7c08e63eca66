"""A token store: all records of a pool, tokenized, in arrays that a run maps into its memory.

A folder with `tokens.json` (counts, and what decided the tokens) and these arrays of n records:

tokens.npy        [all tokens] uint16 where the vocabulary allows it, else int32
offsets.npy       [n + 1] int64: the tokens of row r are offsets[r] to offsets[r + 1]
spans.npy         [all spans, 2] int32: (start, stop) of supervised tokens within their record
span_offsets.npy  [n + 1] int64
flags.npy         [n] uint8: the bits of `FLAGS`
ids.npy           [2, n] uint64: high and low half of each id, sorted
rows.npy          [n] int64: the row of each of these ids
"""

from __future__ import annotations

import binascii
import hashlib
from collections.abc import Iterable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import atomic_path, read_json, write_json
from instruct_scaling.common.provenance import identity_hash, provenance
from instruct_scaling.data.encoding import Encoded

FORMAT = 1
DESCRIPTION = "tokens.json"
FLAGS = {"prompt_cut": 1, "answer_cut": 2, "in_pieces": 4}  # fields of `Encoded`
ID_DIGITS = 32
HASH_BLOCK = 65_536  # ids whose hex digits are in memory at a time


@dataclass(frozen=True)
class Chunk:
    """Some tokenized records in order: `ids` [n, 2] uint64; all their `tokens` int32 with
    `lengths` [n] int64; all their `spans` [.., 2] int32 with `turns` [n] int64; `flags` [n]
    uint8."""

    ids: np.ndarray
    tokens: np.ndarray
    lengths: np.ndarray
    spans: np.ndarray
    turns: np.ndarray
    flags: np.ndarray

    @classmethod
    def of(cls, ids: np.ndarray, encoded: Iterable[Encoded]) -> Chunk:
        """Join records; at least one."""
        examples = list(encoded)
        return cls(
            ids=ids,
            tokens=np.concatenate([example.tokens for example in examples]),
            lengths=np.array([len(example.tokens) for example in examples], np.int64),
            spans=np.concatenate([example.spans for example in examples]),
            turns=np.array([len(example.spans) for example in examples], np.int64),
            flags=np.array(
                [sum(bit * getattr(e, name) for name, bit in FLAGS.items()) for e in examples],
                np.uint8,
            ),
        )


@dataclass(frozen=True)
class TokenStore:
    """A store that was opened; the arrays are those of the module's table, mapped from disk.

    `identity`: what decided the tokens, among it the `pool`, the hash of its ids.
    """

    identity: dict[str, Any]
    tokens: np.ndarray
    offsets: np.ndarray
    spans: np.ndarray
    span_offsets: np.ndarray
    flags: np.ndarray
    ids: np.ndarray
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def find(self, ids: np.ndarray) -> np.ndarray:
        """Rows [k] int64 of ids [k, 2] uint64, -1 for an id that is not here; O(k log n)."""
        high, low = self.ids
        place = np.searchsorted(high, ids[:, 0])
        found = np.full(len(ids), -1, np.int64)
        left = np.arange(len(ids))
        while len(left):  # more than once only where two ids have the same half
            left = left[place[left] < len(high)]
            left = left[high[place[left]] == ids[left, 0]]
            same = low[place[left]] == ids[left, 1]
            found[left[same]] = self.rows[place[left[same]]]
            left = left[~same]
            place[left] += 1
        return found

    def lengths(self, rows: np.ndarray) -> np.ndarray:
        """Tokens of each row, [k] int64."""
        return self.offsets[rows + 1] - self.offsets[rows]

    def supervised(self, rows: np.ndarray) -> np.ndarray:
        """Supervised tokens of each row, [k] int64."""
        first = self.span_offsets[rows]
        turns = self.span_offsets[rows + 1] - first
        owner = np.repeat(np.arange(len(rows)), turns)
        before = np.cumsum(turns) - turns
        span = np.arange(len(owner)) + (first - before)[owner]
        sizes = np.diff(self.spans[span], axis=1)[:, 0]
        return np.bincount(owner, sizes, len(rows)).astype(np.int64)

    def sequence(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        """Tokens [length] of a record and its supervised spans [turns, 2]."""
        start, stop = self.offsets[row], self.offsets[row + 1]
        first, last = self.span_offsets[row], self.span_offsets[row + 1]
        return self.tokens[start:stop], self.spans[first:last]


def id_words(ids: pa.Array, where: str | Path) -> np.ndarray:
    """Ids of 32 hex digits as their high and low halves, [n, 2] uint64; no Python objects.

    Raises:
        InputError: one of them is not such an id.
    """
    if len(ids) == 0:
        return np.empty((0, 2), np.uint64)
    right = pc.fill_null(pc.match_substring_regex(ids, f"^[0-9a-f]{{{ID_DIGITS}}}$"), False)
    if not pc.all(right).as_py():
        example = ids.filter(pc.invert(right))[0].as_py()
        raise InputError(
            f"{example!r} is not the id of a record ({ID_DIGITS} hexadecimal digits)",
            where=where,
            fix="make the file with the stages of the workflow",
        )
    digits = ids.cast(pa.binary()).cast(pa.binary(ID_DIGITS)).buffers()[1].to_pybytes()
    return np.frombuffer(binascii.unhexlify(digits), ">u8").reshape(-1, 2).astype(np.uint64)


def id_text(words: np.ndarray) -> str:
    """The id of two halves [2] uint64."""
    return f"{int(words[0]):016x}{int(words[1]):016x}"


def write_store(
    folder: Path, chunks: Iterable[Chunk], token_type: np.dtype, identity: dict[str, Any]
) -> dict[str, int]:
    """Write a store, whole or not at all; a chunk is in memory at a time, and the ids.

    Args:
        chunks: the records in the pool's order, at least one.
        token_type: of `tokens.npy`.
        identity: what decides the tokens of a record.

    Returns:
        The counts in tokens.json: records, tokens, supervised_tokens, longest, and records with
        each of `FLAGS`.
    """
    counts = dict.fromkeys(("records", "tokens", "supervised_tokens", "longest", *FLAGS), 0)
    ids: list[np.ndarray] = []
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        with ExitStack() as stack:
            files = {
                name: stack.enter_context(closing(GrowingArray(temporary / f"{name}.npy", *of)))
                for name, of in {
                    "tokens": (token_type,),
                    "offsets": ("i8",),
                    "spans": ("i4", 2),
                    "span_offsets": ("i8",),
                    "flags": ("u1",),
                }.items()
            }
            for name in ("offsets", "span_offsets"):
                files[name].append(np.zeros(1, np.int64))
            for chunk in chunks:
                files["offsets"].append(len(files["tokens"]) + np.cumsum(chunk.lengths))
                files["span_offsets"].append(len(files["spans"]) + np.cumsum(chunk.turns))
                for name in ("tokens", "spans", "flags"):
                    files[name].append(getattr(chunk, name))
                ids.append(chunk.ids)
                _count(counts, chunk)
        data_hash = _write_index(temporary, np.concatenate(ids))
        identity = {**identity, "pool": data_hash}
        description = {
            "format": FORMAT,
            "counts": counts,
            "identity": identity,
            "identity_hash": identity_hash(identity),
            "provenance": provenance("tokens", identity, {"pool": data_hash}),
        }
        write_json(temporary / DESCRIPTION, description)
    return counts


def _count(counts: dict[str, int], chunk: Chunk) -> None:
    counts["records"] += len(chunk.lengths)
    counts["tokens"] += len(chunk.tokens)
    counts["supervised_tokens"] += int(np.diff(chunk.spans, axis=1).sum())
    for name, bit in FLAGS.items():
        counts[name] += int(np.count_nonzero(chunk.flags & bit))
    counts["longest"] = max(counts["longest"], int(chunk.lengths.max()))


def _write_index(folder: Path, ids: np.ndarray) -> str:
    """Write ids.npy and rows.npy; returns the pool's `data_hash` (see data/pool/store.py)."""
    rows = np.lexsort((ids[:, 1], ids[:, 0]))
    ordered = ids[rows]
    np.save(folder / "ids.npy", np.ascontiguousarray(ordered.T))
    np.save(folder / "rows.npy", rows)
    digest = hashlib.blake2b(digest_size=16)
    for first in range(0, len(ordered), HASH_BLOCK):
        block = ordered[first : first + HASH_BLOCK].astype(">u8").tobytes()
        digest.update(b"\n" * bool(first) + block.hex("\n", ID_DIGITS // 2).encode("ascii"))
    return digest.hexdigest()


def open_store(folder: Path) -> TokenStore:
    """Map a store.

    Raises:
        InputError: there is none, it is broken, or it has another format.
    """
    description = read_json(folder / DESCRIPTION)
    again = "remove the folder and run the stage tokens again"
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        raise InputError(f"not a token store of format {FORMAT}", where=folder, fix=again)
    names = ("tokens", "offsets", "spans", "span_offsets", "flags", "ids", "rows")
    try:
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in names}
        store = TokenStore(description["identity"], **arrays)
        sizes = [store.offsets[-1] == len(store.tokens), store.span_offsets[-1] == len(store.spans)]
        whole = len(store) == description["counts"]["records"] and all(sizes)
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise InputError(f"a broken token store: {error}", where=folder, fix=again) from error
    if not whole:
        raise InputError("a broken token store: its arrays do not fit", where=folder, fix=again)
    return store


class GrowingArray:
    """A .npy file that grows along its first axis; its header is right once it is closed."""

    def __init__(self, path: Path, dtype: Any, *row: int) -> None:
        self._dtype, self._row, self._length = np.dtype(dtype), row, 0
        self._file = path.open("wb")
        self._write_header()

    def __len__(self) -> int:
        return self._length

    def append(self, values: np.ndarray) -> None:
        """Append values [.., *row]."""
        self._file.write(np.ascontiguousarray(values, self._dtype).data)
        self._length += len(values)

    def close(self) -> None:
        """Write the header again, with the final length: numpy leaves room for its digits."""
        self._file.seek(0)
        self._write_header()
        self._file.close()

    def _write_header(self) -> None:
        header = {
            "descr": np.lib.format.dtype_to_descr(self._dtype),
            "fortran_order": False,
            "shape": (self._length, *self._row),
        }
        np.lib.format.write_array_header_1_0(self._file, header)
