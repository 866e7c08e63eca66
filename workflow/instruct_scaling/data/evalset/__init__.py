"""The evalset stage: the questions that every run is asked, in one file, with an audit."""

from instruct_scaling.data.evalset.store import read_items

__all__ = ["read_items"]
