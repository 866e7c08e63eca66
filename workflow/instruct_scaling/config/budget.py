"""What the budget assumes where nothing has been measured yet; no result depends on it."""

from __future__ import annotations

from pydantic import Field

from instruct_scaling.config.strict import Strict


class Budget(Strict):
    """Assumptions of the plan that `snakemake -n` prints."""

    tokens_per_example: float = Field(250, gt=0)
    """Mean tokens of a prompt with its answer."""
    eval_items: int | None = Field(None, gt=0)
    """Items of the eval set, where they cannot be counted yet."""
    tokens_per_response: float = Field(200, gt=0)
    """Mean tokens of a generated answer."""
    tokens_per_judge_prompt: float = Field(700, gt=0)
    """Mean tokens of a rubric with question, reference and answer."""
    tokens_per_judgement: float = Field(100, gt=0)
    """Mean tokens that an LLM judge writes."""
    device_peak_tflops: float = Field(312, gt=0)
    """Peak of the training device in the recipe's precision (312: A100 in bf16)."""
    mfu: float = Field(0.4, gt=0, le=1)
    """Share of that peak that training reaches (model FLOPs utilisation)."""
    dollars_per_device_hour: float | None = Field(None, ge=0)
    """Price of a device; no money is shown without it."""
