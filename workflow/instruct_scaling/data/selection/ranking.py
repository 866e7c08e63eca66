"""The order that a seed gives a pool: by keyed hash of the id, so that no record's place depends on
the order of the files or, against another record, on any third one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from instruct_scaling.common.seeds import rank_key

_AT_ONCE = 65_536  # ids that are Python objects at a time


def rank_keys(ids: pa.Array | Sequence[str], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """High and low half of each id's keyed hash, [N] uint64 each (`seeds.rank_key`)."""
    keys = np.empty((len(ids), 2), np.uint64)
    for start in range(0, len(ids), _AT_ONCE):
        batch = ids[start : start + _AT_ONCE]
        texts = batch.to_pylist() if isinstance(batch, pa.Array) else batch
        hashed = b"".join(rank_key(seed, record_id) for record_id in texts)
        keys[start : start + _AT_ONCE] = np.frombuffer(hashed, dtype=">u8").reshape(-1, 2)
    return keys[:, 0], keys[:, 1]


def rank_order(ids: pa.Array | Sequence[str], seed: int) -> np.ndarray:
    """Positions [N] of the ids in the order that the seed gives them."""
    high, low = rank_keys(ids, seed)
    return np.lexsort((low, high))


def draw_subset(ids: Sequence[str], scale: int, seed: int) -> list[str]:
    """The `scale` ids that rank first under the seed, in that order.

    Each smaller subset of a seed is the beginning of every larger one, the order of `ids` has no
    influence, and a record that joins the pool leaves the order of the others alone.

    Args:
        ids: distinct record ids, in any order.
        scale: how many to draw, at most as many as there are.
        seed: a seed for the purpose "subset".
    """
    return [ids[index] for index in rank_order(ids, seed)[:scale].tolist()]
