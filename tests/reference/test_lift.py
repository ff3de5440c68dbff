"""Restricted means of two arms against R and the published example of survRM2; Rossi's arrests as known from R."""

from __future__ import annotations

import numpy as np
import pytest

import churnsurv as ch
from churnsurv.numerics.arm_influence import RowTable, arm_cells, cell_curves, log_hazard_ratio
from churnsurv.numerics.augmentation import adjusted_vector, arm_moments
from churnsurv.survival.rmst import rmst_difference

from . import stored

FOLDER = "output_lift"
TAU = 10


@pytest.fixture(scope="module")
def pbc():
    frame = stored._table("data/pbc.csv")
    arm = frame["arm"].to_numpy().astype(int)
    cells = arm_cells(arm, n_arms=2)
    curves = cell_curves(cells, frame["duration"].to_numpy(), frame["churned"].to_numpy() == 1, horizon=TAU)
    covariates = [frame[name].to_numpy() for name in ("age", "bili", "albumin")]
    means = np.array([np.bincount(arm, x) / np.bincount(arm) for x in covariates])
    table = RowTable(
        tables=curves.influence_on_area().reshape(1, -1),
        pattern=curves.pattern,
        sums=[],
        expected=np.zeros((0, 1)),
        end=arm,
        scale=1 / np.bincount(arm),
        covariates=covariates,
        means=means,
        cell=arm,
    )
    moments = arm_moments(table.of, arm, 4, 2)
    estimate = np.column_stack([curves.area, means.T])
    n = np.bincount(arm)
    plain = adjusted_vector(estimate[:, :1], moments[:, :1, :, :1], n)
    return plain, adjusted_vector(estimate, moments, n, n_covariates=3)


def difference(vector):
    c = np.array([-1.0, 1.0])
    return c @ vector.estimate[:, 0], np.sqrt(c @ vector.covariance[:, 0, :, 0] @ c)


def test_means_of_the_arms_are_those_of_survfit(pbc):
    plain, _ = pbc
    theirs = stored.answer("means", "pbc", FOLDER).sort_values("arm")
    stored.close(plain.estimate[:, 0], theirs["estimate"], rtol=1e-10)
    stored.close(np.sqrt(np.diagonal(plain.covariance[:, 0, :, 0])), theirs["std_error"], rtol=1e-10)
    assert plain.estimate[:, 0].round(3).tolist() == [7.283, 7.146]


def test_their_difference_is_the_published_one(pbc):
    estimate, error = difference(pbc[0])
    theirs = stored.answer("differences", "pbc", FOLDER).set_index("adjusted").loc[0]
    stored.close([estimate, error], theirs[["estimate", "std_error"]], rtol=1e-9)
    limits = np.array([estimate, estimate - 1.959964 * error, estimate + 1.959964 * error])
    assert limits.round(3).tolist() == [-0.137, -0.939, 0.665]


def test_adjusted_for_covariates_it_is_near_the_published_regression(pbc):
    """The published -.210 (-.883, .463) is a regression weighted by censoring, stored as R's answer.

    Ours takes no weights and has the same estimand: it is close by (a sixth of a standard error), and more precise.
    """
    theirs = stored.answer("differences", "pbc", FOLDER).set_index("adjusted").loc[1]
    z = np.array([0, -1.959964, 1.959964])
    assert (theirs["estimate"] + z * theirs["std_error"]).round(3).tolist() == [-0.210, -0.883, 0.463]
    estimate, error = difference(pbc[1])
    assert abs(estimate - theirs["estimate"]) < theirs["std_error"] / 6
    assert error < theirs["std_error"]
    assert error < 0.85 * difference(pbc[0])[1]


@pytest.fixture(scope="module")
def rossi():
    from lifelines.datasets import load_rossi

    return load_rossi()


def test_rossi_days_without_arrest(rossi):
    """Financial aid over 52 weeks: 2.042 weeks more (standard error 1.213)."""
    arm = rossi["fin"].to_numpy()
    cells = arm_cells(arm, n_arms=2)
    curves = cell_curves(cells, rossi["week"].to_numpy(), rossi["arrest"].to_numpy() == 1, horizon=52)
    each = curves.influence_on_area().ravel()[curves.pattern]
    assert (curves.area[1] - curves.area[0]).round(3) == 2.042
    assert np.sqrt(each @ each).round(3) == 1.213
    rows = rossi.assign(duration=rossi["week"], churned=rossi["arrest"] == 1)
    theirs = rmst_difference(rows, by="fin", horizon=52).table.iloc[0]
    assert (theirs["estimate"], theirs["std_error"]) == pytest.approx(
        (curves.area[1] - curves.area[0], np.sqrt(each @ each)), rel=1e-10
    )


def test_rossi_cox_and_logrank(rossi):
    """R: adjusted Cox coefficient -.3794 (.1914), log-rank 3.838; the ratio of a lift is without covariates."""
    rows = rossi.assign(duration=rossi["week"], churned=rossi["arrest"] == 1)
    fit = ch.cox("fin + age + race + wexp + mar + paro + prio", rows)
    row = fit.table.set_index("term").loc["fin"]
    assert (round(row["estimate"], 4), round(row["std_error"], 4)) == (-0.3794, 0.1914)
    assert round(ch.logrank(rows, by="fin").statistic, 3) == 3.838
    cells = arm_cells(rossi["fin"].to_numpy(), n_arms=2)
    curves = cell_curves(cells, rossi["week"].to_numpy(), rossi["arrest"].to_numpy() == 1, horizon=52)
    ours = log_hazard_ratio(cells, curves, 1, 0)
    alone = ch.cox("fin", rows, ties="grouped").table["estimate"][0]
    assert ours.estimate == pytest.approx(alone, rel=1e-9)
