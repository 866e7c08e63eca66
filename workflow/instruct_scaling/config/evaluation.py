"""What is measured on every run: the eval set, how it is answered, validation, checkpoints."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator

from instruct_scaling.common.categories import CATEGORIES
from instruct_scaling.common.records import Constraints, first_problem
from instruct_scaling.config.section import Name, RowRange, Strict
from instruct_scaling.config.web import WebFile


class SyntheticEval(Strict):
    """Items from the built-in generator, with references and checks."""

    type: Literal["synthetic"]
    items_per_category: int = Field(40, gt=0)
    """Items of each category."""
    seed: int = 0
    """Seed of the generator; the items differ from the pool's records whatever the seeds."""


class RowEval(Strict):
    """What is common to sources whose rows have keys and categories of their own."""

    fields: dict[
        Literal[
            "category", "prompt", "messages", "input", "reference", "checks", "cluster", "language"
        ],
        str,
    ] = {}
    """Which key of the file holds which field, where it is not the field's own name, for
    instance `{prompt: question, category: class, reference: std_answer}`. A row with `messages`
    needs no prompt: its last message is the prompt, the others stand before it."""
    category: str | None = None
    """Category of the items that state none themselves."""
    category_names: dict[str, str] = {}
    """Standard name of each category that the file calls otherwise, for instance
    `{information_extraction: extraction}`."""
    language: str | None = None
    """Language (ISO 639-1) of the items that state none themselves."""
    tags: dict[Name, str] = {}
    """Labels of the items beside category and language, by name, each with the key of the file
    that holds it, for instance `{difficulty: level}`. The score table has a column `tag_NAME`."""
    rows: RowRange | None = None
    """First and last entry that is read, both included and counted from 1 (`[121, 200]`, to the
    end `[121, null]`): those that no pool reads, where both read one file."""
    strip_suffixes: list[Annotated[str, Field(min_length=1)]] = []
    """Strings to cut from the end of prompt, input and reference, for instance the end token of
    another model's format: `["<|endoftext|>"]`."""
    compose: dict[Literal["prompt", "input", "reference", "tests"], str] = {}
    """Fields that are put together from several keys, in place of one that `fields` names: each
    `{key}` stands for the text of that key (of a list, a line for each entry), for instance
    `{reference: "{prompt}{canonical_solution}", tests: "{test}\\ncheck({entry_point})"}`. `tests`
    are those of `checks`."""
    checks: dict[str, Any] = {}
    """Checks of every item of the source, under those that it states itself (see docs/judging.md),
    for instance `{labels: [positive, negative]}`."""
    limit_per_category: int | None = Field(None, gt=0)
    """Keep at most this many items of each category (those with the smallest id hash)."""
    on_error: Literal["stop", "skip"] = "stop"
    """What an invalid entry does: stop with its file and line, or be skipped and counted."""

    @field_validator("checks")
    @classmethod
    def _known_checks(cls, checks: dict[str, Any]) -> dict[str, Any]:
        try:
            return Constraints.model_validate(checks).model_dump(exclude_none=True)
        except ValidationError as error:
            raise ValueError(first_problem(error)) from None

    @field_validator("tags")
    @classmethod
    def _language_is_no_tag(cls, tags: dict[str, str]) -> dict[str, str]:
        if "language" in tags:
            raise ValueError("an item's language is a field of its own: map it in `fields`")
        return tags


class EvalFile(RowEval):
    """Items from a local file: JSON lines, a JSON list or Parquet, also gzipped."""

    type: Literal["file"]
    path: str = Field(examples=["data/questions.jsonl"])
    """Path of the file; relative paths start at the folder Snakemake runs in."""


class EvalUrl(RowEval, WebFile):
    """Items from a file on the web, in the formats of a local file."""

    type: Literal["url"]


EvalSource = Annotated[SyntheticEval | EvalFile | EvalUrl, Field(discriminator="type")]


class EvalSet(Strict):
    """The eval set of the study."""

    sources: list[EvalSource] = Field(min_length=1)
    """Read in this order; an item that occurs twice is kept once."""
    categories: list[str] | None = None
    """Categories of the study, in the order of the figures. Default: those of the paper's twelve
    that the eval set has; to list the twelve in their order is the same. A name of your own may be
    added here. Items of other categories are left out and counted; a category of any other list
    that has no item is refused."""

    def inactive(self) -> set[str]:
        """The twelve in their order are the default, written out."""
        return {"categories"} if self.categories == list(CATEGORIES) else set()


class Generate(Strict):
    """Generation settings, the same for every run and for the base."""

    max_new_tokens: int = Field(512, gt=0)
    """Longest response in tokens; a longer one is cut and marked `length`."""
    temperature: float = Field(0.0, ge=0)
    """0 is greedy decoding; the base then answers once, whatever the number of replicates."""
    top_p: float = Field(1.0, gt=0, le=1)
    """Nucleus sampling (only with a temperature above 0)."""
    batch_size: int = Field(32, gt=0)
    """Prompts in a batch, at most."""
    batch_tokens: int = Field(32_768, gt=0)
    """Places of a batch for the tokens of prompts and answers, at most: the cache of 7 billion
    parameters in bf16 takes half a megabyte for each. Long prompts go in smaller batches."""

    def inactive(self) -> set[str]:
        """Greedy decoding draws nothing."""
        return {"top_p"} if self.temperature == 0 else set()


class Validation(Strict):
    """Records of each pool that no run trains on, and how often the loss on them is measured."""

    records: int = Field(240, ge=0)
    """Validation records of each pool, spread evenly over its categories; 0 turns it off. They
    leave the pool for good: another number draws other subsets and trains every run again."""
    evaluations: int = Field(4, gt=0)
    """How often during a run, evenly spaced by steps, the last after the last step. The base is
    measured too, before the first one. The weights do not depend on it, but a finished run has
    to be trained again to be measured at other steps."""

    def inactive(self) -> set[str]:
        """Without records nothing is measured."""
        return set() if self.records else {"evaluations"}


class IntermediateCheckpoints(Strict):
    """Models of every run before its last step: each is kept, answers the eval set and is judged.

    They do not stand for runs of their own at smaller scales: a schedule that ends at the last
    step has not come to its end, and all checkpoints of a run share its data order and its noise.
    They stay out of the score table and of every verdict.
    """

    fractions: list[Annotated[float, Field(gt=0, lt=1)]] = []
    """Fractions of the steps, in whole percents, such as 0.25, 0.5 and 0.75. A run keeps the model
    after each; every one answers the whole eval set and costs as many judge calls as a run. To
    add one, the runs have to be trained again; to remove one costs nothing."""

    @field_validator("fractions")
    @classmethod
    def _whole_percents(cls, fractions: list[float]) -> list[float]:
        for fraction in fractions:
            if abs(fraction * 100 - round(fraction * 100)) > 1e-9:
                raise ValueError(f"fractions are whole percents, such as 0.25, not {fraction}")
        if sorted(set(fractions)) != fractions:
            raise ValueError("fractions must increase, and none may occur twice")
        return fractions

    def percents(self) -> list[int]:
        """The fractions in percent, as folders are named after them."""
        return [round(fraction * 100) for fraction in self.fractions]
