"""How a base is tuned: what changes the resulting weights, and how ZeRO shares out the work."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from instruct_scaling.config.identity import execution_field, execution_keys
from instruct_scaling.config.section import Strict, Unordered

Precision = Literal["fp32", "bf16", "fp16"]
Supervise = Literal["all", "last"]

# Options of DeepSpeed's precision sections that would keep the optimizer's states in 16 bits.
LOW_PRECISION_STATES = (
    "fp16_master_weights_and_grads",
    "bf16_master_weights_and_grads",
    "bf16_optimizer_states",
)


class FullTuning(Strict):
    """Every weight is trained."""

    method: Literal["full"]


class LoraTuning(Strict):
    """Low-rank adapters are trained beside frozen weights (PEFT), then merged for export."""

    method: Literal["lora"]
    rank: int = Field(8, gt=0)
    """Rank of each adapter."""
    alpha: float = Field(16, gt=0)
    """Scale: the update is multiplied by alpha / rank."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Dropout before each adapter."""
    targets: Literal["all-linear"] | Annotated[list[str], Unordered] = "all-linear"
    """Which linear layers get an adapter: `all-linear` (all but the output layer), or the names of
    some, like `[q_proj, v_proj]`; each must be there."""


class FrozenEmbeddingTuning(Strict):
    """Everything but the token embedding and the output layer (in many bases one weight) is
    trained."""

    method: Literal["frozen_embedding"]


class EmbeddingTuning(Strict):
    """Only the token embedding and the output layer (in many bases one weight) are trained."""

    method: Literal["embedding"]


Tuning = Annotated[
    FullTuning | LoraTuning | FrozenEmbeddingTuning | EmbeddingTuning,
    Field(discriminator="method"),
]


class RecipePhase(Strict):
    """What is different in one phase of the order; null takes the recipe's own value."""

    epochs: float | None = Field(None, gt=0)
    """Passes over the phase's records, where the recipe counts `epochs`."""
    learning_rate: float | None = Field(None, gt=0)
    """Peak learning rate in the phase. `schedule` and `warmup_ratio` run over all phases."""


class Recipe(Strict):
    """The fine-tuning recipe. The defaults are the paper's, where it states them."""

    tuning: Tuning = FullTuning(method="full")
    """What is trained."""
    batch_size: int | None = Field(64, gt=0)
    """Examples per optimizer step, over all ranks and accumulation steps together. Set it to null
    to count `batch_tokens`."""
    batch_tokens: int | None = Field(None, gt=0)
    """Tokens per optimizer step, in place of `batch_size`: a step takes the next examples of the
    order while their tokens (prompt, answer and end token) stay within it, at least one."""
    epochs: float | None = Field(2, gt=0)
    """Passes over the subset: compute grows with scale. Set it to null to hold `steps` fixed."""
    steps: int | None = Field(None, gt=0)
    """Optimizer steps at every scale, in place of `epochs`: compute is the same at every scale."""
    learning_rate: float = Field(3e-6, gt=0)
    """Peak learning rate of AdamW."""
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    """Learning rate after warm-up: constant, or decaying to 0 at the last step."""
    warmup_ratio: float = Field(0.0, ge=0, lt=1)
    """Share of the steps with a linearly rising learning rate."""
    weight_decay: float = Field(0.001, ge=0)
    """AdamW weight decay; biases and layer norms are exempt."""
    betas: tuple[float, float] = (0.9, 0.999)
    """AdamW moment decays."""
    epsilon: float = Field(1e-8, gt=0)
    """AdamW epsilon."""
    max_grad_norm: float = Field(1.0, ge=0)
    """Gradient clipping; 0 turns it off."""
    precision: Precision = "bf16"
    """Arithmetic of the forward and backward pass; master weights are fp32 in all of them. fp16
    scales the loss and skips the steps that overflow. The arm's models, its base included, also
    answer the eval set in it."""
    neftune_alpha: float = Field(0.0, ge=0)
    """Strength of NEFTune's noise on the embeddings while training; 0 turns it off."""
    max_length: int = Field(1024, gt=1)
    """Longest prompt plus answer in tokens; the prompt is cut from its left, then the answer
    from its right."""
    supervise: Supervise = "all"
    """Which turns of the assistant are trained: all of them, or the last one."""
    phases: list[RecipePhase] = []
    """Rate and passes of each phase, in the order of the phases that the arm's selection makes;
    without entries all phases are alike. All passes of a phase come before the next one. With
    `steps` fixed, the phases share them by their number of records."""
    zero_stage: Literal["auto", 0, 1, 2, 3] = execution_field("auto")
    """DeepSpeed ZeRO stage, where `deepspeed` is `auto`; `auto` leaves it free. It decides no
    result: an edit trains nothing again."""
    deepspeed: Literal["auto"] | dict[str, Any] = execution_field("auto")
    """`auto` takes the fastest set-up that fits the GPUs: stage, sub-groups, offload, recomputed
    activations, tokens of a row (ZeRO-2 on a CPU). Or your own DeepSpeed configuration: batch
    size, accumulation, precision and clipping in it are set from this recipe, and a precision or
    clipping that contradicts it is refused. An edit trains nothing again."""

    def identity(self) -> dict[str, Any]:
        """Everything that decides the weights, defaults included."""
        return self.model_dump(mode="json", exclude=execution_keys(self))

    def epochs_in(self, phase: int) -> float | None:
        """Passes over the records of a phase; None where `steps` are fixed."""
        return (self.phases[phase].epochs if self.phases else None) or self.epochs

    def learning_rate_in(self, phase: int) -> float:
        """Peak learning rate of a phase."""
        return (self.phases[phase].learning_rate if self.phases else None) or self.learning_rate

    @model_validator(mode="after")
    def _epochs_or_steps(self) -> Recipe:
        if (self.epochs is None) == (self.steps is None):
            raise ValueError("give either `epochs` or `steps` (set the other to null)")
        if self.steps is not None and any(phase.epochs for phase in self.phases):
            raise ValueError("`epochs` of a phase needs `epochs` of the recipe, not `steps`")
        return self

    @model_validator(mode="after")
    def _examples_or_tokens(self) -> Recipe:
        if (self.batch_size is None) == (self.batch_tokens is None):
            raise ValueError("give either `batch_size` or `batch_tokens` (set the other to null)")
        return self

    @model_validator(mode="after")
    def _deepspeed_agrees(self) -> Recipe:
        if self.deepspeed != "auto":
            problems = contradictions(self.deepspeed, self)
            if problems:
                raise ValueError("`deepspeed` contradicts the recipe: " + "; ".join(problems))
        return self


def contradictions(deepspeed: dict[str, Any], recipe: Recipe) -> list[str]:
    """What a user's DeepSpeed configuration says against a recipe. A key that is missing or
    `auto`, as the transformers Trainer writes it, says nothing."""
    found = []
    clipping = deepspeed.get("gradient_clipping", "auto")
    if clipping not in ("auto", recipe.max_grad_norm):
        found.append(
            f"gradient_clipping is {clipping}, max_grad_norm {recipe.max_grad_norm:g}: remove "
            "gradient_clipping, or set both to one value"
        )
    for key, precision in (("bf16", "bf16"), ("bfloat16", "bf16"), ("fp16", "fp16")):
        section = _section(deepspeed, key)
        enabled = section.get("enabled", "auto")
        if enabled not in ("auto", recipe.precision == precision):
            found.append(
                f"{key}.enabled is {str(enabled).lower()}, precision {recipe.precision}: remove "
                f"{key}, or set `precision`"
            )
        found += [
            f"{key}.{option} is true, but master weights and moments are fp32: remove it"
            for option in LOW_PRECISION_STATES
            if section.get(option) is True
        ]
    for key in ("amp", "torch_autocast"):
        if _section(deepspeed, key).get("enabled") is True:
            found.append(f"{key} is enabled, precision {recipe.precision}: remove {key}")
    for key in ("optimizer", "scheduler"):
        if key in deepspeed:
            found.append(f"{key} is given, but the recipe decides it: remove it")
    return found


def _section(deepspeed: dict[str, Any], key: str) -> dict[str, Any]:
    section = deepspeed.get(key)
    return section if isinstance(section, dict) else {}


class ByScale(Strict):
    """Learning rate and batch as powers of the scale n, so that a study can control for what is
    best at each scale: value x (n / reference) ** exponent."""

    reference: int = Field(gt=0, examples=[1000])
    """The scale at which the recipe's own values hold."""
    learning_rate_exponent: float = 0.0
    """Exponent of `learning_rate`, that of phases included; 0 holds it fixed over the ladder."""
    batch_exponent: float = 0.0
    """Exponent of `batch_size` or `batch_tokens`, the result being rounded; 0 holds it fixed."""

    def apply(self, recipe: Recipe, scale: int) -> Recipe:
        """The recipe of one scale. Six digits of the rate are kept, the same on any machine."""
        ratio = scale / self.reference
        unit = "batch_tokens" if recipe.batch_size is None else "batch_size"
        batch = max(1, round(getattr(recipe, unit) * ratio**self.batch_exponent))
        law = ratio**self.learning_rate_exponent
        return recipe.model_copy(
            update={
                "learning_rate": _six_digits(recipe.learning_rate * law),
                "phases": [_at_rate(phase, law) for phase in recipe.phases],
                unit: batch,
            }
        )


def _at_rate(phase: RecipePhase, factor: float) -> RecipePhase:
    """The phase with its own learning rate, if it has one, times the factor."""
    if phase.learning_rate is None:
        return phase
    return phase.model_copy(update={"learning_rate": _six_digits(phase.learning_rate * factor)})


def _six_digits(value: float) -> float:
    return float(f"{value:.6g}")
