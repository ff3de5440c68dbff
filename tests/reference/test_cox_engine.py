"""Cox fits inside DuckDB against R's coxph: (start, stop], strata, clusters, weights of both kinds, offsets."""

import duckdb
import pytest

from churnsurv.data.relation import relation_of
from churnsurv.survival.cox_engine import fit_in_engine
from churnsurv.survival.cox_methods import check_method
from churnsurv.survival.formula import parse_formula

from . import stored

# Some small sets have a spike on purpose.
pytestmark = pytest.mark.filterwarnings("ignore:on day .* at risk.* churn:churnsurv.errors.ChurnsurvWarning")

FAR = "continuous far from zero"
CASES = [
    ("cox", "output", "churn cluster strata entry"),
    ("cox", "output", "churn interaction"),
    ("cox", "output", "churn two strata entry"),
    ("cox", "output", "continuous entry"),
    ("cox", "output", FAR),
    ("cox", "output", "tied_last"),
    ("cox", "output", "thin_strata"),
    ("cox", "output", "day_zero"),
    ("cox", "output", "refill_after_churn"),
    ("cox", "output", "enters_on_event_day"),
    ("cox", "output", "hard breslow"),
    ("cox", "output", "hard cluster"),
    ("cox_weights", "output_weights", "frequency cluster strata entry"),
    ("cox_weights", "output_weights", "frequency offset"),
    ("cox_weights", "output_weights", "sampling tiny"),
    ("cox_weights", "output_weights", "hard sampling cluster"),
]


@pytest.mark.parametrize(("table", "folder", "which"), CASES)
def test_against_r(table, folder, which):
    of = stored.case(table, which)
    connection = duckdb.connect()
    connection.register("frame", stored.frame(of))
    fit = fit_in_engine(
        parse_formula(of["formula"]),
        relation_of(connection.sql("FROM frame")),
        method=check_method(of["ties"], 0.0, 0.0, ()),
        strata=stored.columns(of["strata"]),
        reference=dict([of["reference"].split("=")]) if of["reference"] else None,
        level=float(of["level"]),
        weights=of.get("weights") or None,
        weights_kind=of.get("weights_kind") or None,
        offset=of.get("offset") or None,
        **stored.keywords(of),
    )
    theirs = stored.answer("cox", which, folder)
    for column in ("estimate", "std_error", "lower", "upper"):
        # centred at 1e6 the covariate keeps 9 to 10 digits of its spread, on R's side too
        stored.close(fit.table[column], theirs[column], 1e-7 if which == FAR else 1e-8, atol=1e-10)
    theirs = stored.answer("cox_fit", which, folder).iloc[0]
    assert (fit.n, fit.n_events) == (theirs["n"], theirs["n_events"])
    stored.close(fit.log_likelihood, theirs["log_likelihood"], 1e-10)
