"""A small tokenizer, made here."""

from __future__ import annotations

import pytest

from tests.tokenizers import small_tokenizer


@pytest.fixture(scope="session")
def tokenizer():
    return small_tokenizer((f"Repeat: {number} {number * 7}" for number in range(200)), 320)
