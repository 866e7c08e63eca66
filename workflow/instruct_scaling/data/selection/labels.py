"""Labels as selections use them: numbers, and strata (values of a label, or bands of a number)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from instruct_scaling.common.errors import InputError
from instruct_scaling.data.selection.candidates import Candidates

WHERE = "selection.by"
NOWHERE = -1
"""Stratum of a record that is never drawn."""


@dataclass(frozen=True)
class Strata:
    """`names` of the strata, in order; `codes` [N] int32: the stratum of each record, or
    `NOWHERE`."""

    names: list[str]
    codes: np.ndarray

    @property
    def sizes(self) -> np.ndarray:
        """Records of each stratum."""
        return np.bincount(self.codes[self.codes >= 0], minlength=len(self.names))


def numbers(candidates: Candidates, by: str) -> np.ndarray:
    """The label of each record as a number, [N] float64, NaN where there is none.

    Raises:
        InputError: a value is no finite number.
    """
    labels = _labels(candidates)
    try:
        found = labels.cast(pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid as error:
        raise InputError(f"{by} is no number: {error}", where=WHERE) from error
    if np.isinf(found).any():
        raise InputError(f"{by} has values that are infinite", where=WHERE)
    return found


def values(candidates: Candidates, by: str) -> Strata:
    """The values of a text label as strata, sorted by name; records without one are nowhere.

    Raises:
        InputError: the label is a number, or no record has it.
    """
    labels = _labels(candidates)
    if pa.types.is_floating(labels.type):
        raise InputError(
            f"{by} is a number, which has no values to name",
            where=WHERE,
            fix="divide it by `bands` or `edges`",
        )
    coded = labels.cast(pa.string()).dictionary_encode()
    names = coded.dictionary.to_pylist()
    if not names:
        raise InputError(f"no record has {by}", where=WHERE)
    ranked = sorted(range(len(names)), key=names.__getitem__)
    place = np.empty(len(names) + 1, np.int32)
    place[ranked] = np.arange(len(names))
    place[-1] = NOWHERE
    codes = place[pc.fill_null(coded.indices, len(names)).to_numpy(zero_copy_only=False)]
    return Strata([names[index] for index in ranked], codes)


def in_bands(
    candidates: Candidates, by: str, bands: int | None, edges: list[float] | None
) -> Strata:
    """Bands of a number, called "1", "2", ... from the lowest on; a value at an edge is above it.

    Args:
        candidates: the pool.
        by: its label.
        bands: number of bands, at quantiles of the candidates' values.
        edges: inner edges, in place of `bands`.

    Raises:
        InputError: the label is no number, or a band holds no record.
    """
    found = numbers(candidates, by)
    known = found[~np.isnan(found)]
    if not len(known):
        raise InputError(f"no record has {by}", where=WHERE)
    inner = edges if edges is not None else np.quantile(known, np.arange(1, bands) / bands)
    codes = np.searchsorted(inner, found, side="right").astype(np.int32)
    codes[np.isnan(found)] = NOWHERE
    strata = Strata([str(number + 1) for number in range(len(inner) + 1)], codes)
    empty = [name for name, size in zip(strata.names, strata.sizes, strict=True) if not size]
    if empty:
        key = "bands" if edges is None else "edges"
        raise InputError(
            f"band {empty[0]} of {by} holds no record: too many values are equal, or no value lies "
            f"there (smallest {known.min():g}, largest {known.max():g})",
            where=f"selection.{key}",
            fix="use fewer bands, or state other edges",
        )
    return strata


def refuse_missing(missing: np.ndarray, by: str, on_missing: Literal["refuse", "exclude"]) -> None:
    """Refuse records without the label, unless they are to be left out.

    Raises:
        InputError: naming how many of how many there are.
    """
    count = int(missing.sum())
    if count and on_missing == "refuse":
        raise InputError(
            f"{count} of {len(missing)} records have no {by}",
            where="selection.on_missing",
            fix="set `on_missing: exclude` to never draw them",
        )


def _labels(candidates: Candidates) -> pa.Array:
    assert candidates.labels is not None
    return candidates.labels
