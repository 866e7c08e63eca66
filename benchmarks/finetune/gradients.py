"""The error of a variant's gradient: the first step's, as it reaches the optimizer, against stock
transformers that runs the same examples one by one in fp32.

A variant tells an observer, before each update, the gradient of each weight and the documents that
the step was made of. While speed is measured the observer is `ignore`, which asks for neither.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.finetune.cases import PAD, Case, make_model

Document = tuple[list[int], list[int]]  # ids and labels, -100 where nothing is trained
Gradients = dict[str, Any]  # fp32 tensors by the weight's name
Observe = Callable[[Callable[[], Gradients], Callable[[], list[Document]]], None]

EQUAL = 1e-5  # below it two ways differ in the order of a sum alone


def ignore(gradients: Callable[[], Gradients], documents: Callable[[], list[Document]]) -> None:
    """The observer while speed is measured."""


@dataclass(frozen=True)
class Saved:
    """Writes first what it has to say to a file, so that it takes no memory from what follows."""

    path: Path

    def __call__(
        self, gradients: Callable[[], Gradients], documents: Callable[[], list[Document]]
    ) -> None:
        import torch

        if not self.path.exists():
            torch.save((gradients(), documents()), self.path)


def gradients_of(model: Any) -> Gradients:
    """Copies of a model's gradients."""
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def prepare_errors(case: Case, saved: dict[str, Path]) -> Callable[[], dict[str, float]]:
    """For `harness.measure_once`: the relative error of each variant's first gradient."""
    import torch

    def action() -> dict[str, float]:
        errors = {}
        for name, path in saved.items():
            gradients, documents = torch.load(path)
            errors[name] = relative_error(gradients, one_by_one(make_model(case), documents))
        return errors

    return action


def one_by_one(model: Any, documents: list[Document]) -> Gradients:
    """Gradient of the mean loss over all supervised tokens, each document run alone."""
    import torch
    from torch.nn import functional as F

    count = sum(label != -100 for _, labels in documents for label in labels[1:])
    for ids, labels in documents:
        logits = model(input_ids=torch.tensor([ids])).logits[0, :-1]
        loss = F.cross_entropy(logits.float(), torch.tensor(labels[1:]), reduction="sum")
        (loss / count).backward()
    return gradients_of(model)


def relative_error(found: Gradients, wanted: Gradients) -> float:
    """Distance of all gradients as one vector, over the length of the wanted one.

    Raises:
        ValueError: they are not of the same weights.
    """
    if found.keys() != wanted.keys():
        raise ValueError(f"gradients of other weights: {sorted(found.keys() ^ wanted.keys())[:4]}")
    apart = sum(float((found[name] - wanted[name]).double().square().sum()) for name in wanted)
    length = sum(float(value.double().square().sum()) for value in wanted.values())
    return (apart / length) ** 0.5


def documents_of(inputs: dict[str, Any]) -> list[Document]:
    """The documents of one forward pass: rows that are padded, or one row of documents whose
    positions start again, or rows whose mask says what each token sees."""
    found: list[Document] = []
    for number, (ids, labels) in enumerate(zip(inputs["input_ids"], inputs["labels"], strict=True)):
        used = int((ids != PAD).sum())
        starts = [*_starts(inputs, number, used), used]
        for first, stop in pairwise(starts):
            found.append((ids[first:stop].tolist(), [-100, *labels[first + 1 : stop].tolist()]))
    return found


def _starts(inputs: dict[str, Any], number: int, used: int) -> list[int]:
    """Where the documents of a row begin."""
    mask, positions = inputs.get("attention_mask"), inputs.get("position_ids")
    if mask is not None and mask.ndim == 4:  # [rows, 1, queries, keys], 0 where a key is seen
        first_seen = (mask[number, 0, :used, :used] == 0).int().argmax(1)
        return sorted(set(first_seen.tolist()))
    if positions is not None:
        return (positions[number, :used] == 0).nonzero().flatten().tolist()
    return [0]
