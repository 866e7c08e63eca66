"""Five seeds kept apart, so that each source of variation can be held fixed or varied alone."""

from __future__ import annotations

import hashlib
from typing import Literal

Purpose = Literal["subset", "order", "init", "generation", "judge"]
PURPOSES: tuple[Purpose, ...] = ("subset", "order", "init", "generation", "judge")

# Validation records and few-shot examples are no source of variation: they are the same for all
# replicates. The name of the first purpose is older than the word validation; another one would
# draw other records.
FIXED_REPLICATE = 0
VALIDATION_PURPOSE: Literal["heldout"] = "heldout"
FEW_SHOT_PURPOSE: Literal["few_shot"] = "few_shot"


def derive_seed(
    study_seed: int, replicate: int, purpose: Purpose | Literal["heldout", "few_shot"]
) -> int:
    """A 31-bit seed that depends on the study seed, the replicate and the purpose's own name.

    31 bits, so that every library's seeding function takes it.
    """
    text = f"{study_seed}/{replicate}/{purpose}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=4).digest(), "big") & 0x7FFFFFFF


def rank_key(seed: int, record_id: str) -> bytes:
    """Keyed hash of a record: sorting by it gives the seed's order of the pool.

    The order of two records never depends on the others, so subsets of one seed are nested and
    stay so when the pool grows.
    """
    key = seed.to_bytes(8, "big")
    return hashlib.blake2b(record_id.encode(), digest_size=16, key=key).digest()
