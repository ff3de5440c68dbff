"""Cuts against R's maxstat (permutation variance) and survdiff (log-rank variance); see maxstat.R."""

import numpy as np
import pytest

from churnsurv.numerics.maximal_logrank import cut_rows, cut_steps, scan_cuts
from churnsurv.numerics.search_tail import search_tail

from . import stored

FOLDER = "output_maxstat"
CASES = [f"{variable} {n}" for variable in ("x", "visits", "balance") for n in (40, 200)]


def searched(which, ties, standardise):
    variable, n = which.split()
    data = stored._table(f"{FOLDER}/data.csv")
    data = data[data["set"] == int(n)]
    outcome = ("duration", "churned") if ties == "none" else ("day", "churned_day")
    rows = cut_rows(data[outcome[0]].to_numpy(), data[outcome[1]].to_numpy() == 1)
    values = data[variable].to_numpy(dtype=float)
    scan = scan_cuts(rows, values, min_share=0.1, standardise=standardise)
    return scan, cut_steps(rows, values, scan, standardise=standardise)


def answer(table, which, ties):
    rows = stored.answer(table, which, FOLDER)
    return rows[rows["ties"] == ties].reset_index(drop=True)


@pytest.mark.parametrize("which", CASES)
def test_without_ties_every_statistic_is_that_of_maxstat(which):
    scan, _ = searched(which, "none", "permutation")
    theirs, cuts = answer("maxstat", which, "none").iloc[0], answer("cuts", which, "none")
    stored.close(scan.cut, cuts["cut"], 1e-12)
    stored.close(np.abs(scan.statistic), cuts["statistic"], 1e-9)
    assert scan.cut[scan.best] == theirs["cut"]


@pytest.mark.parametrize("ties", ["none", "days"])
@pytest.mark.parametrize("which", CASES)
def test_the_log_rank_statistic_is_that_of_survdiff_at_every_cut(which, ties):
    scan, _ = searched(which, ties, "log-rank")
    stored.close(scan.statistic**2, answer("cuts", which, ties)["survdiff"], 1e-9, 1e-12)


@pytest.mark.parametrize("which", [name for name in CASES if name not in ("x 200", "balance 200")])
def test_the_corrected_p_value_is_the_integral_of_the_normal_law(which):
    """R integrates in as many dimensions as there are cuts, by sampling: to 1e-3 with thirty of them."""
    _, steps = searched(which, "none", "permutation")
    theirs = answer("maxstat", which, "none").iloc[0]
    ours = search_tail(theirs["statistic"], steps.correlation, steps.between)
    stored.close(ours, theirs["gauss"], 0.0, 2e-6 if "visits" in which else 4e-3)


def test_far_out_lausen_and_schumacher_s_formulas_are_bounds():
    """That of 1992 is of all cuts there could be; that of 1994 counts every crossing, ours the first one."""
    _, steps = searched("balance 200", "none", "permutation")
    theirs = answer("maxstat", "balance 200", "none").iloc[0]
    ours = search_tail(theirs["statistic"], steps.correlation, steps.between)
    assert 0.5 * theirs["lausen94"] < ours < theirs["lausen94"] < theirs["lausen92"]
    everywhere = search_tail(theirs["statistic"], steps.correlation, np.full(steps.correlation.size, 1e6))
    stored.close(everywhere, theirs["lausen92"], 0.05)


@pytest.mark.parametrize("which", CASES)
def test_with_day_ties_the_three_statistics_differ(which):
    """Scores of maxstat divide the churns of a day by those left but one, d / (n - d + 1), ours by all at risk."""
    ours, _ = searched(which, "days", "permutation")
    log_rank, _ = searched(which, "days", "log-rank")
    theirs = answer("cuts", which, "days")["statistic"].to_numpy()
    at = int(np.argmax(theirs))
    assert theirs[at] != pytest.approx(abs(ours.statistic[at]), rel=1e-4)
    assert theirs[at] != pytest.approx(abs(log_rank.statistic[at]), rel=1e-3)
    assert theirs[at] == pytest.approx(abs(ours.statistic[at]), rel=0.25)
