"""Variances, degrees of freedom and corrections against statsmodels and limma's squeezeVar."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from analysis.inference.contrasts import tail_weights
from analysis.inference.covariance import Covariance
from analysis.inference.multiplicity import holm
from analysis.inference.run_noise import prior, squeeze
from analysis.inference.sample import Sample, cluster_df

SCALES = np.array([250, 500, 1000, 2000, 4000])
WEIGHTS = tail_weights(SCALES)


def test_holm_is_that_of_statsmodels():
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    p = np.random.default_rng(0).uniform(0, 0.2, 40) ** 2
    assert holm(p) == pytest.approx(multitest.multipletests(p, method="holm")[1])


@pytest.mark.parametrize("df", [1.0, 2.0, 4.0])
def test_shrinkage_is_that_of_squeeze_var_before_the_cap(df):
    """The degrees of freedom of the prior and the posterior variances, of many categories; ours
    are capped by the categories' effective number, which is set above the prior's."""
    inmoose = pytest.importorskip("inmoose.limma")
    rng = np.random.default_rng(1)
    true = 0.5 * 6 / rng.chisquare(6, 400)
    squares = true * rng.chisquare(df, 400) / df
    theirs = inmoose.squeezeVar(squares, np.full(400, df))
    prior_df, value = prior(squares, np.full(400, df))
    assert prior_df == pytest.approx(float(np.ravel(theirs["df_prior"])[0]), rel=1e-3)
    assert value == pytest.approx(float(np.ravel(theirs["var_prior"])[0]), rel=1e-3)
    posterior, total = squeeze(squares, np.full(400, df), effective=400)
    assert posterior == pytest.approx(np.ravel(theirs["var_post"]), rel=1e-3)
    assert total == pytest.approx(np.full(400, min(df + prior_df, 400 * df)))


@pytest.mark.parametrize("sizes", [[8] * 6, [20, 8, 5, 3, 2, 2]])
def test_the_variance_of_a_clustered_mean_is_cr2(sizes):
    """CR2 of statsmodels' least squares: its residuals and its hat matrix, adjusted block by block
    (Bell and McCaffrey); with equal clusters also its clustered covariance."""
    sm = pytest.importorskip("statsmodels.api")
    rng = np.random.default_rng(2)
    labels = np.repeat(np.arange(len(sizes)), sizes)
    y = 0.5 + rng.normal(0, 0.1, len(sizes))[labels] + rng.normal(0, 0.1, len(labels))
    fit = sm.OLS(y, np.ones(len(y))).fit()
    meat = 0.0
    for cluster in range(len(sizes)):
        inside = labels == cluster
        n = int(inside.sum())
        values, vectors = np.linalg.eigh(np.eye(n) - 1 / len(y))
        meat += float(((vectors / np.sqrt(values)) @ vectors.T @ fit.resid[inside]).sum()) ** 2
    found = Covariance(Sample.from_scores(y[None, None], labels)).scale_mean(0)
    assert found.se == pytest.approx(np.sqrt(meat) / len(y))
    if len(set(sizes)) == 1:
        clustered = fit.get_robustcov_results("cluster", groups=labels, use_correction=False)
        factor = np.sqrt(len(sizes) / (len(sizes) - 1))
        assert found.se == pytest.approx(clustered.bse[0] * factor)
        assert found.df == pytest.approx(len(sizes) - 1)
    else:
        assert found.df == pytest.approx(cluster_df(np.array(sizes)))


def test_the_variance_of_a_slope_is_that_of_crossed_random_effects():
    """MixedLM (REML) of the contrast formed in each seed and item first, with crossed seeds and
    items: in a balanced study with all parts above 0 it is the analysis of variance."""
    pytest.importorskip("statsmodels")
    import pandas as pd
    from statsmodels.regression.mixed_linear_model import MixedLM

    rng = np.random.default_rng(3)
    seeds, items = 8, 15
    y = 0.5 + rng.normal(0, 0.2, items) + rng.normal(0, 0.06, (5, 1, items))
    y = y + rng.normal(0, 0.04, (5, seeds, 1)) + rng.normal(0, 0.05, (5, seeds, items))
    found = Covariance(Sample.from_scores(y, np.arange(items))).contrast(WEIGHTS)
    seed, item = np.indices((seeds, items)).reshape(2, -1)
    frame = pd.DataFrame({"d": np.tensordot(WEIGHTS, y, 1).ravel(), "seed": seed, "item": item})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = MixedLM.from_formula(
            "d ~ 1",
            frame.assign(all=1),
            groups="all",
            re_formula="0",
            vc_formula={"seed": "0 + C(seed)", "item": "0 + C(item)"},
        ).fit()
    assert found.value == pytest.approx(fit.params["Intercept"])
    assert found.se == pytest.approx(fit.bse["Intercept"], rel=1e-3)
