"""`dose`: which records are dosed, which scales hold them, what is refused."""

from __future__ import annotations

import pyarrow as pa
import pytest

from instruct_scaling.common.errors import InputError
from instruct_scaling.data.selection.candidates import Candidates
from instruct_scaling.data.selection.ranking import draw_subset
from instruct_scaling.data.selection.select import select
from tests.data.selection.pools import section

IDS = [f"{number:032x}" for number in range(40)]
FACTS = IDS[3:8]
LABELS = ["fact" if one in FACTS else None for one in IDS]


def draw(scale, labels=LABELS, **keys):
    """Ids and repeats of the chosen records."""
    selection = section("dose", **({"by": "tag:kind", "values": ["fact"]} | keys))
    candidates = Candidates(pa.array(IDS), None if labels is None else pa.array(labels))
    chosen = select(selection, candidates, scale, 2)
    assert set(chosen.phases.tolist()) == {0}
    return [IDS[row] for row in chosen.rows.tolist()], chosen.repeats.tolist()


def test_every_scale_holds_all_dosed_records_so_often_and_the_others_once():
    for scale in (5, 12, 40):
        ids, repeats = draw(scale, times=7)
        counts = dict(zip(ids, repeats, strict=True))
        assert {one for one, count in counts.items() if count == 7} == set(FACTS)
        assert sum(repeats) == 5 * 7 + scale - 5
        others = [one for one in IDS if one not in FACTS]
        assert ids[5:] == draw_subset(others, scale - 5, 2)


def test_ids_and_bounds_choose_as_values_do():
    wanted = draw(12)
    assert draw(12, labels=None, by=None, values=None, ids=FACTS) == wanted
    numbers = [1.0 if one in FACTS else 0.0 for one in IDS]
    assert draw(12, labels=numbers, values=None, at_least=0.5, at_most=1.5) == wanted


def test_smaller_scales_than_the_stated_one_hold_none_of_them():
    small, large = draw(15, from_scale=20), draw(20, from_scale=20)
    assert not set(small[0]) & set(FACTS)
    assert set(large[0]) == set(small[0]) | set(FACTS)
    assert large[0][:15] == small[0]
    assert draw(30, from_scale=20)[0][:20] == large[0]


@pytest.mark.parametrize(
    ("scale", "keys", "says"),
    [
        (4, {}, "scale 4 would hold only a part of the 5 dosed records"),
        (17, {"from_scale": 20}, "scales of at least 20, or of at most 15"),
        (10, {"from_scale": 4}, "5 records are dosed, which are more than scale 4 holds"),
        (10, {"values": ["none"]}, "no record has tag:kind in none"),
        (10, {"by": None, "values": None, "ids": ["f" * 32, IDS[0]]}, "1 of 2 ids are not in"),
    ],
)
def test_what_cannot_be_dosed_is_refused(scale, keys, says):
    with pytest.raises(InputError, match=says):
        draw(scale, **keys)
