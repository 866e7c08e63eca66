"""What scores the responses, and how."""

from __future__ import annotations

import difflib
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field

from instruct_scaling.config.identity import execution_field
from instruct_scaling.config.section import Strict

OnMissing = Literal["stop", "missing"]

ScorerName = Literal[
    "final_answer",
    "unit_tests",
    "label_match",
    "answer_match",
    "token_f1",
    "content",
    "rouge_l",
    "chrf",
    "exact_match",
    "open_ended",
    "fluency",
]


def _known_scorer(name: Any) -> Any:
    names = get_args(ScorerName)
    if isinstance(name, str) and name not in names:
        nearest = difflib.get_close_matches(name, names, n=1, cutoff=0)[0]
        raise ValueError(
            f"unknown scorer `{name}`: did you mean `{nearest}`? There are {', '.join(names)}"
        )
    return name


class MetricJudge(Strict):
    """Reference scorers from public libraries, one for each category; no network, no key."""

    type: Literal["metric"]
    scorers: dict[str, Annotated[ScorerName, BeforeValidator(_known_scorer)]] = {}
    """Scorer of a category, where it is not the default one (see docs/judging.md)."""
    on_missing_reference: OnMissing = "stop"
    """What happens where an item lacks what its scorer needs (a reference, or unit tests): `stop`
    before anything is judged, or leave the judgement missing with the reason in its status."""
    code_timeout_seconds: float = Field(5.0, gt=0)
    """CPU time for one program, and again for its unit tests, in whole seconds (rounded up); by
    the clock they may take three times as long."""
    code_memory_mb: int = Field(512, ge=64)
    """Memory limit for one program, and again for its unit tests."""
    unprotected_programs: bool = False
    """What happens to code where programs cannot be kept apart from the machine (neither bubblewrap
    nor Landlock; `instruct-scaling doctor` says why): left missing with status `no_isolation`, or,
    if true, run with limits alone. Never as root. Only for answers of models that you trust."""


class LlmJudge(Strict):
    """A model behind an OpenAI-compatible endpoint, with a rubric for each category.

    The key is read from the environment and never written; the base URL is read from the
    environment too, so that it is not part of the study's identity.
    """

    type: Literal["llm"]
    model: str = Field(min_length=1, examples=["gpt-4o-2024-08-06"])
    """Model name, with its date where the provider has one."""
    repeats: int = Field(3, gt=0)
    """Judgements of each response; the analysis averages them."""
    temperature: float = Field(0.0, ge=0)
    """Sampling temperature of the judge."""
    max_tokens: int = Field(512, gt=0)
    """Longest judgement in tokens."""
    language: Literal["en", "zh", "item"] = "item"
    """Language of the rubric; `item` takes each item's own (English where unknown)."""
    on_missing_reference: OnMissing = "stop"
    """What happens where an item has no reference and its rubric compares with one: `stop` before
    anything is judged, or leave the judgement missing with status `no_reference`."""
    api_key_env: str = Field("OPENAI_API_KEY", min_length=1)
    """Environment variable that holds the key."""
    base_url_env: str = Field("OPENAI_BASE_URL", min_length=1)
    """Environment variable that holds the endpoint's URL (unset: the client's own default)."""
    dollars_per_million_prompt_tokens: float | None = Field(None, ge=0)
    """Price for the budget and the cost column."""
    dollars_per_million_completion_tokens: float | None = Field(None, ge=0)
    """Price for the budget and the cost column."""
    concurrency: int = execution_field(8, ge=1)
    """Requests at a time. Changes no result; changing it judges nothing again."""
    timeout_seconds: float = execution_field(120.0, gt=0)
    """Seconds until a request counts as failed and is repeated. Changes no result."""
    max_retries: int = execution_field(5, ge=0)
    """How often a request is repeated after an HTTP error 408, 409, 429 or 5xx, a timeout or a lost
    connection, with growing pauses. Changes no result."""


Judge = Annotated[MetricJudge | LlmJudge, Field(discriminator="type")]
