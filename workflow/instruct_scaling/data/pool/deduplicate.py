"""Removal of records that repeat an earlier one."""

from __future__ import annotations

import hashlib

import numpy as np
from datasketch import MinHash, MinHashLSH

from instruct_scaling.common.records import Record
from instruct_scaling.config.pool_steps import Deduplicate
from instruct_scaling.data.pool.steps import RecordStep, Removal, comparison_key

MULTIPLIER = np.uint32(0x01000193)  # odd, so that a position's weight is never lost mod 2^32


class DeduplicateStep(RecordStep):
    """Keeps the first of equal records, and of near copies where the config asks for it.

    `identical` (all texts are the same, so the id is too) is removed by every method.
    `same_prompt` compares prompts by their `comparison_key`. `near_copy` compares the sets of its
    character n-grams by MinHash: candidates from locality-sensitive hashing whose estimated
    Jaccard similarity is at least the threshold (Broder 1997; `datasketch`).

    Memory: about 120 bytes a kept record; with `minhash` about 5 kB.
    """

    def __init__(self, config: Deduplicate) -> None:
        self._method = config.method
        self._seen: set[bytes] = set()
        self._near = NearCopies(config) if config.method == "minhash" else None
        self.reasons = {
            "none": ("identical",),
            "exact": ("same_prompt",),
            "minhash": ("same_prompt", "near_copy"),
        }[config.method]

    def apply(self, record: Record) -> Record | Removal:
        """The record, or what it repeats."""
        if self._method == "none":
            return self._repeated(bytes.fromhex(record.id), "identical") or record
        text = comparison_key(record.prompt)
        removal = self._repeated(_digest(text), "same_prompt")
        if removal or self._near is None:
            return removal or record
        earlier = self._near.find_or_add(record.id, text)
        return Removal("near_copy", earlier) if earlier else record

    def _repeated(self, key: bytes, reason: str) -> Removal | None:
        if key in self._seen:
            return Removal(reason)
        self._seen.add(key)
        return None


class NearCopies:
    """An index of texts that finds an earlier one whose n-grams are much the same."""

    def __init__(self, config: Deduplicate) -> None:
        self._threshold = config.threshold
        self._ngram_chars = config.ngram_chars
        self._blank = MinHash(num_perm=config.permutations, hashfunc=int)
        self._index = MinHashLSH(
            threshold=config.threshold, num_perm=config.permutations, hashfunc=_short
        )
        self._signatures: dict[str, np.ndarray] = {}

    def find_or_add(self, record_id: str, text: str) -> str | None:
        """Id of an earlier text at or above the threshold; if there is none, add this one.

        Of several the most similar, then the smallest id, so that the result depends on the
        texts and their order alone.
        """
        sketch = self._blank.copy()
        sketch.update_batch(ngram_hashes(text, self._ngram_chars))
        candidates = [(self._similarity(key, sketch), key) for key in self._index.query(sketch)]
        near = [(-share, key) for share, key in candidates if share >= self._threshold]
        if near:
            return min(near)[1]
        self._index.insert(record_id, sketch, check_duplication=False)
        self._signatures[record_id] = sketch.hashvalues
        return None

    def _similarity(self, key: str, sketch: MinHash) -> float:
        return float(np.mean(self._signatures[key] == sketch.hashvalues))


def ngram_hashes(text: str, n: int) -> np.ndarray:
    """32-bit polynomial hashes of a text's distinct character n-grams, shape (distinct,).

    A text shorter than n is one n-gram.
    """
    codes = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
    width = min(n, len(codes))
    hashes = np.zeros(len(codes) - width + 1, dtype=np.uint32)
    for offset in range(width):
        hashes = hashes * MULTIPLIER + codes[offset : offset + len(hashes)]
    return np.unique(hashes)


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8"), digest_size=16).digest()


def _short(band: bytes) -> bytes:
    return hashlib.blake2b(band, digest_size=8).digest()
