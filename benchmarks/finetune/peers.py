"""Variants by programs that are none of the project's own requirements.

TRL is taken where it is installed. LLaMA-Factory wants another transformers than ours: the
variable of `FOLDERS` names a folder of its packages, which go before all others in its process.
"""

from __future__ import annotations

import importlib.util
import json
import os
import statistics
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.finetune.cases import MAX_LENGTH, TEMPLATE, Case, make_model, rows, texts
from benchmarks.finetune.cases import tokenizer_for as make_tokenizer
from benchmarks.finetune.gradients import Observe, ignore
from benchmarks.finetune.variants import driven, trainer_settings
from benchmarks.harness import Steps

FOLDERS = {
    "llama-factory": "BENCHMARK_LLAMA_FACTORY",
    "cut-cross-entropy": "BENCHMARK_CUT_CROSS_ENTROPY",
}


def there(name: str) -> bool:
    """Whether a program can be measured here."""
    if name in FOLDERS:
        return FOLDERS[name] in os.environ
    return not name.startswith("trl") or importlib.util.find_spec("trl") is not None


def use_packages(name: str) -> None:
    """Put a program's packages before all others, in this process."""
    sys.path.insert(0, os.environ[FOLDERS[name]])


def packed_rows(case: Case, data: list[dict[str, list[int]]]) -> Case:
    """One row of 1,024 tokens a forward pass; as many rows a step as the batch fills."""
    mean = statistics.mean(len(row["input_ids"]) for row in data)
    return replace(case, micro_batch=1, batch=max(1, round(case.batch * mean / MAX_LENGTH)))


def trl_packing(case: Case, folder: Path, observe: Observe = ignore) -> Steps:
    """trl.SFTTrainer with packing by its own defaults: best fit, positions that start again."""
    shaped = packed_rows(case, rows(folder))
    return _trl(case, folder, observe, shaped, {"packing": True, "max_length": MAX_LENGTH})


def trl_padding_free(case: Case, folder: Path, observe: Observe = ignore) -> Steps:
    """trl.SFTTrainer, each micro-batch one row without padding."""
    return _trl(case, folder, observe, case, {"padding_free": True, "max_length": None})


def _trl(
    case: Case, folder: Path, observe: Observe, shaped: Case, settings: dict[str, Any]
) -> Steps:
    from datasets import Dataset
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast
    from trl import SFTConfig, SFTTrainer

    dataset = Dataset.from_list(rows(folder))
    words = models.WordLevel({"<pad>": 3, "</s>": 2}, unk_token="<pad>")
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(words), eos_token="</s>", pad_token="<pad>"
    )

    def train(callback: Any) -> None:
        SFTTrainer(
            model=make_model(case),
            args=SFTConfig(**trainer_settings(shaped, folder), **settings),
            train_dataset=dataset,
            processing_class=tokenizer,
            callbacks=[callback],
        ).train()

    return driven(train, observe)


def llama_factory(case: Case, folder: Path, observe: Observe = ignore) -> Steps:
    """LLaMA-Factory with `neat_packing`: rows of 1,024 tokens under a dense mask of documents. It
    tokenizes the same texts itself, by a template that adds nothing but the end token."""
    use_packages("llama-factory")
    os.environ |= {"DISABLE_VERSION_CHECK": "1", "USE_MODELSCOPE_HUB": "0"}
    files = folder / "llama_factory"
    _llama_factory_files(case, files)
    shaped = packed_rows(case, rows(folder))
    settings = {
        **trainer_settings(shaped, folder),
        "report_to": "none",
        "stage": "sft",
        "do_train": True,
        "finetuning_type": "full",
        "model_name_or_path": str(files / "model"),
        "dataset_dir": str(files),
        "dataset": "texts",
        "template": "plain_texts",
        "cutoff_len": MAX_LENGTH,
        "packing": True,
        "neat_packing": True,
        "flash_attn": "sdpa",
        "disable_gradient_checkpointing": True,
        "overwrite_output_dir": True,
        "preprocessing_num_workers": 1,
    }

    def train(callback: Any) -> None:
        from llamafactory.data.formatter import EmptyFormatter, StringFormatter
        from llamafactory.data.template import register_template
        from llamafactory.train.tuner import run_exp

        register_template(
            name="plain_texts",
            format_user=StringFormatter(slots=["{{content}}"]),
            format_assistant=StringFormatter(slots=["{{content}}", {"eos_token"}]),
            format_prefix=EmptyFormatter(),
        )
        run_exp(settings, callbacks=[callback])

    return driven(train, observe)


def _llama_factory_files(case: Case, files: Path) -> None:
    """The model, its tokenizer and the texts, as LLaMA-Factory reads them."""
    pairs, _ = texts()
    make_model(case).save_pretrained(files / "model")
    make_tokenizer(pairs, case.vocabulary).save_pretrained(files / "model")
    data = [
        {"instruction": TEMPLATE.format(prompt=prompt), "output": answer}
        for prompt, answer in pairs
    ]
    (files / "texts.json").write_text(json.dumps(data), "utf-8")
    columns = {"prompt": "instruction", "response": "output"}
    info = {"texts": {"file_name": "texts.json", "formatting": "alpaca", "columns": columns}}
    (files / "dataset_info.json").write_text(json.dumps(info), "utf-8")


PEERS: dict[str, Callable[..., Steps]] = {
    "trl packing": trl_packing,
    "trl padding-free": trl_padding_free,
    "llama-factory": llama_factory,
}
