"""Answers with the verdict of a careful person, and how well the metric judge agrees with it.

One JSON-lines file for each category. `python -m tests.gold` prints the agreement and the misses;
`--write` renews docs/gold.md.
"""
