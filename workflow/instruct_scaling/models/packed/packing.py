"""Document-exact packing: the examples of one global batch are spread over ranks and rows.

Packing never changes which examples a step sees, only how they share rows. The window of the
first-fit-decreasing search is the global batch, so the random order survives. `pack` decides which
examples share a row; `packed_batch` turns a row into the tensors of a forward pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from instruct_scaling.models.packed.documents import Documents

Bins = list[list[int]]
# Token ids [length] and the supervised spans [turns, 2] of them, (start, stop).
Example = tuple[np.ndarray, np.ndarray]


def first_fit_decreasing(lengths: Sequence[int], capacity: int) -> Bins:
    """Fill as few bins as FFD needs; an item longer than `capacity` gets a bin of its own.

    Returns:
        For each bin the positions of its items in `lengths`.
    """
    bins: Bins = []
    room: list[int] = []
    for item in _longest_first(lengths):
        for number, free in enumerate(room):
            if lengths[item] <= free:
                bins[number].append(item)
                room[number] -= lengths[item]
                break
        else:
            bins.append([item])
            room.append(capacity - lengths[item])
    return bins


def balanced(lengths: Sequence[int], count: int, capacity: int) -> Bins | None:
    """Longest item first into the emptiest of `count` bins; None where that overflows one."""
    bins: Bins = [[] for _ in range(count)]
    load = [0] * count
    for item in _longest_first(lengths):
        emptiest = load.index(min(load))
        if bins[emptiest] and load[emptiest] + lengths[item] > capacity:
            return None
        bins[emptiest].append(item)
        load[emptiest] += lengths[item]
    return bins


def _longest_first(lengths: Sequence[int]) -> list[int]:
    return sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))


def pack(lengths: Sequence[int], *, ranks: int, row_tokens: int) -> list[Bins]:
    """Spread one global batch over `ranks`, in rows of at most `row_tokens` tokens.

    Every rank gets the same number of rows (collectives need that); rows may be empty when there
    are fewer examples than ranks. Equal loads are preferred, because the ranks wait for the
    slowest one.

    Args:
        lengths: tokens of each example of the batch.
        ranks: data-parallel ranks.
        row_tokens: token budget of a row; an example longer than it gets a row of its own.

    Returns:
        [rank][row] -> positions in `lengths`, ascending within a row.
    """
    fitted = first_fit_decreasing(lengths, row_tokens)
    count = -(-len(fitted) // ranks) * ranks
    bins = balanced(lengths, count, row_tokens)
    if bins is None:
        bins = fitted + [[] for _ in range(count - len(fitted))]
    rows = [sorted(row) for row in bins]
    rows.sort(key=lambda row: (-sum(lengths[i] for i in row), row))
    return [rows[rank::ranks] for rank in range(ranks)]


@dataclass(frozen=True)
class PackedBatch:
    """A row of documents. The last token of a document is only ever a target, so a document of
    n tokens takes n - 1 positions of the row.

    Attributes:
        input_ids: [1, row positions] int64.
        documents: where the documents lie in the row.
        positions: [supervised] int64, where a supervised token is predicted.
        targets: [supervised] int64, which token it is.
    """

    input_ids: torch.Tensor
    documents: Documents
    positions: torch.Tensor
    targets: torch.Tensor


def packed_batch(
    examples: Sequence[Example], device: torch.device, *, fill_to: int = 1
) -> PackedBatch:
    """Lay documents one after the other.

    Args:
        examples: tokens and supervised spans of each document; the first token of a document is
            never supervised, since nothing precedes it.
        device: where the tensors go.
        fill_to: the row's length becomes a multiple of this, by a document without targets;
            for back-ends that are compiled for one shape.

    An empty row gets one position and no target: a rank without examples still has to take part
    in the forward and backward pass.
    """
    if not examples:
        examples = [_unsupervised(1)]
    missing = -sum(len(tokens) - 1 for tokens, _ in examples) % fill_to
    if missing:
        examples = [*examples, _unsupervised(missing)]
    lengths = [len(tokens) - 1 for tokens, _ in examples]
    starts = np.cumsum([0, *lengths[:-1]])
    spans = [
        (start, tokens, int(first), int(stop))
        for start, (tokens, supervised) in zip(starts, examples, strict=True)
        for first, stop in supervised
    ]
    positions = [np.arange(start + first - 1, start + stop - 1) for start, _, first, stop in spans]
    targets = [tokens[first:stop] for _, tokens, first, stop in spans]
    return PackedBatch(
        input_ids=_int64([tokens[:-1] for tokens, _ in examples], device)[None],
        documents=Documents(tuple(lengths), device),
        positions=_int64(positions, device),
        targets=_int64(targets, device),
    )


def one_answer(tokens: np.ndarray, prompt_length: int) -> Example:
    """The example of which everything after the prompt is supervised."""
    span = [[prompt_length, len(tokens)]] if prompt_length < len(tokens) else []
    return tokens, np.array(span, dtype=np.int32).reshape(-1, 2)


def _unsupervised(length: int) -> Example:
    """A document that fills `length` positions and trains nothing."""
    return np.zeros(length + 1, dtype=np.int32), np.zeros((0, 2), dtype=np.int32)


def _int64(parts: Sequence[np.ndarray], device: torch.device) -> torch.Tensor:
    whole = np.concatenate(parts) if parts else np.zeros(0)
    return torch.from_numpy(whole.astype(np.int64)).to(device)
