"""Instruction data and plain text written by code: seeded, bilingual, with right answers."""

from instruct_scaling.embedded.generate import generate_items, generate_records
from instruct_scaling.embedded.text import generate_text

__all__ = ["generate_items", "generate_records", "generate_text"]
