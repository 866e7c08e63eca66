"""Five seeds kept apart; an order of the pool that growth does not disturb.

Known seeds and keys stand in tests/data/test_golden.py.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from instruct_scaling.common.seeds import PURPOSES, derive_seed, rank_key


def test_the_five_seeds_of_replicates_all_differ():
    seeds = {derive_seed(0, replicate, purpose) for replicate in range(50) for purpose in PURPOSES}
    assert len(seeds) == 50 * len(PURPOSES)


@given(st.integers(), st.integers(), st.sampled_from(PURPOSES))
def test_a_seed_fits_every_library(study, replicate, purpose):
    assert 0 <= derive_seed(study, replicate, purpose) < 2**31


@given(st.integers(0, 2**31 - 1), st.sets(st.text(), min_size=2), st.sets(st.text()))
def test_the_order_of_records_does_not_depend_on_others(seed, ids, more):
    before = sorted(ids, key=lambda record: rank_key(seed, record))
    after = sorted(ids | more, key=lambda record: rank_key(seed, record))
    assert [record for record in after if record in ids] == before
