"""Records become token sequences with a supervised answer; written once, mapped by every rank."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import atomic_path
from instruct_scaling.common.records import Record

CHUNK = 2000  # records per tokenizer call: large enough for its threads, small in memory


@dataclass(frozen=True, slots=True)
class Encoded:
    """One example: `tokens` [length] = prompt + answer + end token; the prompt is not trained."""

    tokens: np.ndarray
    prompt_length: int
    prompt_cut: bool
    answer_cut: bool


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

    `tokens` [sum of lengths] int32, `offsets` [n + 1] int64, `prompt_lengths` [n] int32.
    """

    ids: list[str]
    tokens: np.ndarray
    offsets: np.ndarray
    prompt_lengths: np.ndarray
    counts: Counts

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each example, [n] int64."""
        return np.diff(self.offsets)

    def sequence(self, index: int) -> tuple[np.ndarray, int]:
        """Tokens [length] of an example and the length of its prompt."""
        start, stop = self.offsets[index], self.offsets[index + 1]
        return self.tokens[start:stop], int(self.prompt_lengths[index])


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
    columns = ["id", "instruction", "input", "output", "category", "language", "source"]
    pool = pq.read_table(records, columns=columns)
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
    return [Record(**row) for row in pool.take(positions).to_pylist()]


def encode(
    prompt: Sequence[int], answer: Sequence[int], *, end: int, start: int, max_length: int
) -> Encoded:
    """Join one prompt and its answer; cut the prompt from its left, then the answer's right.

    A prompt without tokens is replaced by the `start` token, because the first answer token has
    to be predicted from something. One prompt token always stays. An answer that is cut loses
    its end token: the model does not learn to stop in the middle.

    Args:
        prompt, answer: token ids without special tokens.
        end: id of the end token, appended to the answer.
        start: id that stands for an empty prompt.
        max_length: longest example in tokens, at least 2.
    """
    head = list(prompt) or [start]
    tail = [*answer, end]
    room = max(1, max_length - len(tail))
    kept_head = head[-room:]
    kept_tail = tail[: max_length - len(kept_head)]
    return Encoded(
        np.array(kept_head + kept_tail, dtype=np.int32),
        len(kept_head),
        len(kept_head) < len(head),
        len(kept_tail) < len(tail),
    )


def encode_records(
    records: Sequence[Record], tokenizer: Any, template: str, max_length: int
) -> Iterator[Encoded]:
    """Encode records in order with a transformers tokenizer.

    Raises:
        InputError: the tokenizer has no end token, or the template has no `{prompt}`.
    """
    if "{prompt}" not in template:
        raise InputError("the template has no {prompt}", where="template", fix="add {prompt} to it")
    end = tokenizer.eos_token_id
    if end is None:
        raise InputError(
            "the base model's tokenizer has no end token, so answers could not end",
            where="bases",
            fix="choose a base whose tokenizer_config.json names an eos_token",
        )
    start = end if tokenizer.bos_token_id is None else tokenizer.bos_token_id
    for first in range(0, len(records), CHUNK):
        chunk = records[first : first + CHUNK]
        prompts = tokenizer(
            [template.replace("{prompt}", record.prompt) for record in chunk],
            add_special_tokens=False,
        )["input_ids"]
        answers = tokenizer([record.output for record in chunk], add_special_tokens=False)[
            "input_ids"
        ]
        for prompt, answer in zip(prompts, answers, strict=True):
            yield encode(prompt, answer, end=end, start=start, max_length=max_length)


def write_examples(folder: Path, ids: Sequence[str], encoded: Iterator[Encoded]) -> None:
    """Write the arrays of `Examples` to `folder`, whole or not at all."""
    parts, lengths, prompt_lengths = [], [], []
    prompts_cut = answers_cut = 0
    for example in encoded:
        parts.append(example.tokens)
        lengths.append(len(example.tokens))
        prompt_lengths.append(example.prompt_length)
        prompts_cut += example.prompt_cut
        answers_cut += example.answer_cut
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    counts = Counts(
        examples=len(lengths),
        tokens=int(offsets[-1]),
        supervised_tokens=int(offsets[-1]) - sum(prompt_lengths),
        prompts_cut=prompts_cut,
        answers_cut=answers_cut,
        longest=max(lengths),
    )
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        np.save(temporary / "tokens.npy", np.concatenate(parts))
        np.save(temporary / "offsets.npy", offsets)
        np.save(temporary / "prompt_lengths.npy", np.array(prompt_lengths, dtype=np.int32))
        (temporary / "ids.json").write_text(json.dumps(list(ids)), "utf-8")
        (temporary / "counts.json").write_text(json.dumps(asdict(counts)), "utf-8")


def load_examples(folder: Path) -> Examples:
    """Map what `write_examples` wrote."""
    return Examples(
        ids=json.loads((folder / "ids.json").read_text("utf-8")),
        tokens=np.load(folder / "tokens.npy", mmap_mode="r"),
        offsets=np.load(folder / "offsets.npy", mmap_mode="r"),
        prompt_lengths=np.load(folder / "prompt_lengths.npy", mmap_mode="r"),
        counts=Counts(**json.loads((folder / "counts.json").read_text("utf-8"))),
    )
