"""Instruction data and plain text written by code: seeded, bilingual, with right answers."""

from instruct_scaling.data.synthetic.generate import generate_items, generate_records
from instruct_scaling.data.synthetic.text import generate_text

__all__ = ["generate_items", "generate_records", "generate_text"]
