"""One law in data and base size over several arms."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from analysis.errors import InputError
from analysis.inference.score_array import build_score_arrays
from analysis.options import CurveOptions
from analysis.scaling_laws.joint import fit_power, joint_rows
from tests.analysis.score_tables import LADDER, checked

SIZES = {"small": 1e8, "large": 4e8}
SIZED = CurveOptions(sizes=SIZES)
X = np.array(LADDER) / LADDER[-1]


def sized_arms(ladders: dict[str, tuple[int, ...]] | None = None, **kwargs: object) -> pd.DataFrame:
    """logit mean = .1 + .2 log2(records / 4000) + .3 log2(size / 4e8)."""
    ladders = ladders or dict.fromkeys(SIZES, LADDER)
    parts = []
    for arm, ladder in ladders.items():
        line = 0.1 + 0.2 * np.log2(np.array(ladder) / 4000) + 0.3 * np.log2(SIZES[arm] / 4e8)
        parts.append(checked({"math": list(expit(line))}, arms=(arm,), scales=ladder, **kwargs))
    return pd.concat(parts)


def joint(scores: pd.DataFrame, options: CurveOptions = SIZED) -> pd.DataFrame:
    return pd.DataFrame(joint_rows(build_score_arrays(scores), options))


@pytest.mark.parametrize("ladder", [LADDER, (1000, 2000, 4000, 8000)])
def test_a_joint_law_recovers_both_slopes(ladder):
    ladders = {"small": LADDER, "large": ladder}
    rows = joint(sized_arms(ladders, items=200, noise=0.02, run_sd=0.001))
    row = rows.query("category == 'math' and family == 'logit-linear in both'").iloc[0]
    values = dict(part.split("=") for part in row["parameters"].split("; "))
    assert row["status"] == "kept"
    assert row["n_points"] == 5 + len(ladder)
    assert float(values["data_slope"]) == pytest.approx(0.2, abs=0.03)
    assert float(values["size_slope"]) == pytest.approx(0.3, abs=0.05)
    largest = max(LADDER[-1], ladder[-1])
    assert float(values["intercept"]) == pytest.approx(0.1 + 0.2 * np.log2(largest / 4000), abs=0.1)


def test_two_power_laws_recover_their_surface():
    exponents = np.geomspace(0.02, 2.0, 24)[[10, 14]]  # on the grid, so that the fit is exact
    data = np.tile(2.0 ** -np.arange(4), 3)
    sizes = np.repeat([0.1, 0.3, 1.0], 4)
    truth = np.array([0.9, 0.15, 0.2, *exponents])
    means = 0.9 - 0.15 * data ** -exponents[0] - 0.2 * sizes ** -exponents[1]
    fitted = fit_power(data, sizes, means[None])
    assert fitted.parameters[0] == pytest.approx(truth)
    assert fitted.squares[0] < 1e-12


def test_a_ceiling_above_1_is_cut_to_1():
    data, sizes = np.tile(2.0 ** -np.arange(4), 3), np.repeat([0.1, 0.3, 1.0], 4)
    means = 1.2 - 0.2 * data**-0.2 - 0.2 * sizes**-0.3
    assert fit_power(data, sizes, means[None]).parameters[0, 0] == 1


def test_three_sizes_are_fitted_by_both_laws():
    sizes = {"small": 1e8, "middle": 2e8, "large": 4e8}
    parts = [
        checked(
            {"math": list(0.9 - 0.2 * (size / 4e8) ** -0.3 - 0.1 * X**-0.3)},
            arms=(arm,),
            noise=0.02,
            run_sd=0.001,
            items=100,
            seed=number,
        )
        for number, (arm, size) in enumerate(sizes.items())
    ]
    rows = joint(pd.concat(parts), CurveOptions(sizes=sizes)).query("category == 'math'")
    assert rows["status"].tolist()[1] == "kept"
    assert (rows["arms"] == "large; middle; small").all()
    assert rows["n_parameters"].tolist() == [3, 5]


def test_two_sizes_are_too_few_for_two_power_laws():
    refused = joint(sized_arms()).query("family == 'sum of two power laws'")
    assert (refused["status"] == "refused").all()
    assert refused["reason"].str.contains("2 base sizes").all()


def test_without_sizes_there_is_no_joint_law():
    assert joint(sized_arms(), CurveOptions()).empty


def test_a_size_of_an_unknown_arm_is_refused():
    options = CurveOptions(sizes={"huge": 1e12})
    with pytest.raises(InputError, match="huge"):
        joint(sized_arms(), options)


def test_arms_without_a_common_seed_have_no_joint_law():
    scores = sized_arms()
    scores["seed"] = scores["seed"] + 10 * (scores["arm"] == "large")
    assert joint(scores)["reason"].tolist() == ["the arms share no seed"]


def test_an_arm_of_one_scale_is_one_point():
    rows = joint(sized_arms({"small": LADDER, "large": (4000,)}, items=100))
    row = rows.query("category == 'math' and family == 'logit-linear in both'").iloc[0]
    assert (row["n_points"], row["status"] == "refused") == (6, False)
    assert 0 < row["p_misfit"] < 1


def test_only_arms_whose_size_is_stated_are_fitted():
    rows = joint(sized_arms(), CurveOptions(sizes={"small": 1e8}))
    assert (rows["arms"] == "small").all()
    assert rows["reason"].str.contains("1 base sizes").all()
