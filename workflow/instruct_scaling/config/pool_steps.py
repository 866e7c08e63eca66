"""What is done to a pool's records: an ordered list of steps, each of one `type`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from instruct_scaling.config.section import Strict, Unordered


class Bounds(Strict):
    """The numbers that pass, both ends included."""

    min: float | None = None
    """Smallest number; no bound by default."""
    max: float | None = None
    """Largest number; no bound by default."""

    @model_validator(mode="after")
    def _some_number_passes(self) -> Bounds:
        if self.min is not None and self.max is not None and self.max < self.min:
            raise ValueError("max is below min: nothing can pass")
        return self


class Filter(Strict):
    """Removes records outside these bounds. Lengths are in characters."""

    type: Literal["filter"]
    min_prompt_chars: int = Field(1, ge=0)
    """Shortest prompt."""
    max_prompt_chars: int | None = None
    """Longest prompt: the instruction with its input, or all system and user messages; no bound
    by default."""
    min_output_chars: int = Field(1, ge=0)
    """Shortest output."""
    max_output_chars: int | None = None
    """Longest output: all assistant messages; no bound by default."""
    languages: Annotated[list[str] | None, Unordered] = None
    """Keep only these languages; all by default."""
    categories: Annotated[list[str] | None, Unordered] = None
    """Keep only these categories; all by default."""
    tags: dict[str, Annotated[list[str], Unordered]] = {}
    """Keep only records whose tag has one of these values, for instance
    `{difficulty: [easy, medium]}`. A record without the tag is removed."""
    tag_bounds: dict[str, Bounds] = {}
    """Keep only records whose tag is a number within the bounds, for instance
    `{quality: {min: 0.5}}`. A record without the tag, or with another text, is removed."""

    @model_validator(mode="after")
    def _some_length_passes(self) -> Filter:
        for part in ("prompt", "output"):
            longest = getattr(self, f"max_{part}_chars")
            if longest is not None and longest < getattr(self, f"min_{part}_chars"):
                raise ValueError(f"max_{part}_chars is below min_{part}_chars: nothing can pass")
        return self


class Deduplicate(Strict):
    """Removes records that repeat an earlier one. The first stays."""

    type: Literal["deduplicate"]
    method: Literal["none", "exact", "minhash"] = "exact"
    """`none` removes only records that are equal in every character; `exact` compares prompts
    without case and white space; `minhash` also removes near copies of these."""
    threshold: float = Field(0.8, gt=0, lt=1)
    """Estimated Jaccard similarity from which two records are near copies (minhash only)."""
    ngram_chars: int = Field(5, gt=0)
    """Length of the character n-grams that are compared (minhash only)."""
    permutations: int = Field(128, ge=16)
    """Hash permutations: more are more exact and slower (minhash only)."""

    def inactive(self) -> set[str]:
        """Only minhash compares n-grams."""
        return set() if self.method == "minhash" else {"threshold", "ngram_chars", "permutations"}


class Decontaminate(Strict):
    """Removes records that give away an eval item."""

    type: Literal["decontaminate"]
    method: Literal["exact", "ngram"] = "ngram"
    """`exact` removes records whose prompt is an eval prompt; `ngram` also those that share a long
    run of characters with one. Case and white space do not count."""
    ngram_chars: int = Field(40, gt=0)
    """Length of the shared run in characters without white space (ngram only). Eval prompts
    shorter than this are compared exactly."""
    phrase_items: int = Field(5, gt=1)
    """A run that this many eval items have is phrasing, which gives away none of them, and does
    not count (ngram only)."""

    def inactive(self) -> set[str]:
        """Only ngram looks for shared runs."""
        return set() if self.method == "ngram" else {"ngram_chars", "phrase_items"}


Step = Annotated[
    Filter | Deduplicate | Decontaminate,
    Field(discriminator="type"),
]

DEFAULT_STEPS: list[Step] = [
    Filter(type="filter"),
    Deduplicate(type="deduplicate"),
    Decontaminate(type="decontaminate"),
]
