"""The model card: where a tuned model comes from, for whoever finds the folder later."""

from __future__ import annotations

import json
from typing import Any

from instruct_scaling.config.recipe import Recipe
from instruct_scaling.training.job import Job


def model_card(job: Job, provenance: dict[str, Any], train: dict[str, Any], note: str = "") -> str:
    """Markdown with the hub's YAML header; `note` says what is special about this model."""
    recipe = json.dumps(job.recipe.model_dump(mode="json"), indent=2)
    identity = json.dumps(job.identity, indent=2, ensure_ascii=False, sort_keys=True)
    data = train["data"]
    about = " ".join(filter(None, ["One run of an instruction-data scaling study.", note]))
    return f"""---
library_name: transformers
pipeline_tag: text-generation
base_model: {train["base"]["name"]}
tags:
- instruction-tuning
- instruct-scaling
---

# {train["base"]["name"]}, tuned on {data["examples"]} instruction records

{about}

| | |
|---|---|
| base | `{train["base"]["name"]}`, model.safetensors SHA-256 `{train["base"]["weights_sha256"]}` |
| subset | {data["examples"]} records, SHA-256 `{data["subset_sha256"]}` |
| steps | {train["steps"]} of {_batch(job.recipe)} ({train["epochs"]:g} epochs) |
| tokens | {train["tokens"]["total"]} seen, {train["tokens"]["supervised"]} of them trained on |
| final loss | {train["loss"]["last"]:.4f} {train["loss"]["unit"]} |
| study identity | `{provenance["identity_hash"]}` |
| made by | instruct-scaling {provenance["instruct_scaling"]}, commit {provenance["commit"]} |

Prompts are put into this template before the model continues them:

```
{job.template}
```

## Recipe

```json
{recipe}
```

## Identity

```json
{identity}
```
"""


def _batch(recipe: Recipe) -> str:
    if recipe.batch_size is not None:
        return f"{recipe.batch_size} examples"
    return f"at most {recipe.batch_tokens} tokens"
