"""Fits inside DuckDB against fits of the same rows in memory: every number to 1e-10, every error by name."""

import itertools
import warnings
from dataclasses import replace

import duckdb
import numpy as np
import pandas as pd
import pytest

import churnsurv as ch
from churnsurv.data.relation import relation_of
from churnsurv.errors import ChurnsurvWarning, ConvergenceError, InputError, SchemaError
from churnsurv.survival import engine_design
from churnsurv.survival.cox_engine import fit_in_engine, stays_in_engine
from churnsurv.survival.cox_methods import check_method
from churnsurv.survival.formula import parse_formula

RTOL = 1e-10


def relation(data):
    """A DuckDB relation of somebody else's connection."""
    connection = duckdb.connect()
    connection.register("frame", data)
    connection.execute("CREATE TABLE users AS SELECT * FROM frame")
    connection.unregister("frame")
    return relation_of(connection.sql("FROM users"))


def in_engine(formula, data, ties="efron", penalty=0.0, **options):
    table = relation(data) if isinstance(data, pd.DataFrame) else data
    return fit_in_engine(parse_formula(formula), table, method=check_method(ties, penalty, 0.0, ()), **options)


@pytest.fixture(scope="module")
def users():
    rng = np.random.default_rng(11)
    n = 1200
    table = pd.DataFrame(
        {
            "user_id": [f"u{i}" for i in range(n)],
            "x": rng.normal(size=n),
            "amount": rng.exponential(1000, n),
            "far": 1e8 + rng.normal(size=n),
            "channel": rng.choice(["ads", "friend", "organic"], n),
            "plan": rng.choice(["a", "b", None], n),
            "paid": rng.random(n) < 0.4,
            "level": rng.integers(0, 4, n),
            "region": rng.choice(["north", "south", None], n),
            "half": rng.integers(0, 2, n) + 0.5,
            "team": rng.integers(0, 200, n),
            "times": rng.integers(1, 5, n),
            "drawn": rng.exponential(1e4, n),
            "exposure": rng.normal(size=n),
        }
    )
    time = rng.exponential(60 * np.exp(-0.4 * table["x"] + 0.5 * (table["channel"] == "ads")))
    table["duration"] = np.ceil(np.minimum(time, 90)).astype(int)
    table["churned"] = time < 90
    late = rng.random(n) < 0.4
    table["entry"] = np.where(late, (table["duration"] * rng.random(n)).astype(int), 0)
    return table


@pytest.fixture(scope="module")
def table(users):
    return relation(users)


def same(ours, theirs, rtol=RTOL):
    """Everything that a fit says of itself and predicts."""

    def close(left, right, what):
        np.testing.assert_allclose(left, right, rtol=rtol, atol=rtol, err_msg=what)

    for column in ("term", "variable", "category", "reference", "known_at"):
        assert ours.table[column].tolist() == theirs.table[column].tolist()
    for column in ("estimate", "std_error", "statistic", "p_value", "lower", "upper", "hazard_ratio"):
        close(ours.table[column], theirs.table[column], column)
    close(ours.covariance, theirs.covariance, "covariance")
    for name in ("log_likelihood", "log_likelihood_null"):
        close(getattr(ours, name), getattr(theirs, name), name)
    close(ours.score_test.statistic, theirs.score_test.statistic, "score test")
    close(ours.wald_test.statistic, theirs.wald_test.statistic, "Wald test")
    for name in ("n", "n_events", "n_no_risk", "notes", "strata", "cluster", "weights", "offset", "ties", "formula"):
        assert getattr(ours, name) == getattr(theirs, name), name
    assert ours._n_clusters == theirs._n_clusters
    assert (
        ours.baseline[["stratum", "time"]].to_numpy().tolist()
        == theirs.baseline[["stratum", "time"]].to_numpy().tolist()
    )
    close(ours.baseline["cumulative_hazard"], theirs.baseline["cumulative_hazard"], "baseline")


CASES = {
    "numbers": ("x + log1p(amount)", {"ties": "breslow"}),
    "late entry, a chosen reference": ("x + channel + plan", {"entry": "entry", "reference": {"channel": "organic"}}),
    "late entry, Breslow": ("x + amount", {"entry": "entry", "ties": "breslow"}),
    "strata with a missing value": ("x + channel", {"strata": ["region", "half"], "entry": "entry"}),
    "interactions": ("x * channel * paid + plan", {}),
    "numbers as categories": ("x + C(level) + I(amount > 500) + I(channel == 'ads')", {}),
    "what functions learn": ("scale(x) + center(amount):channel + poly(exposure, 3)", {}),
    "splines": ("bs(x, df=5) + bs(exposure) + bs(amount, knots=[500, 2000], degree=2)", {}),
    "arithmetic": ("I(x**2) + abs(exposure) + sqrt(amount) + I(amount / (1 + level)) + I(level % 2 + level // 2)", {}),
    "clusters, late entry, strata": ("x * channel", {"cluster": "team", "entry": "entry", "strata": "region"}),
    "frequencies, clusters": ("x + plan", {"weights": "times", "weights_kind": "frequency", "cluster": "team"}),
    "sampling weights": ("x + plan", {"weights": "drawn", "weights_kind": "sampling", "entry": "entry"}),
    "sampling weights, clusters, offset": (
        "x + plan",
        {"weights": "drawn", "weights_kind": "sampling", "cluster": "team", "offset": "exposure"},
    ),
    "offset": ("x + channel", {"offset": "exposure", "entry": "entry"}),
    "categories alone": ("channel + plan", {}),
}


@pytest.mark.parametrize("which", CASES)
def test_the_fit_is_that_of_the_rows_in_memory(users, table, which):
    formula, options = CASES[which]
    ours, theirs = in_engine(formula, table, **options), ch.cox(formula, users, **options)
    same(ours, theirs)
    new = users.head(20)
    np.testing.assert_allclose(ours.risk(new).values, theirs.risk(new).values, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(
        ours.survival(new, [10, 40]).lower, theirs.survival(new, [10, 40]).lower, rtol=RTOL, atol=RTOL
    )


def test_where_there_is_no_room_to_split_the_sums_categories_are_columns(users, table, monkeypatch):
    formula, options = "x * channel + plan + C(level)", {"entry": "entry", "cluster": "team"}
    theirs, n_patterns = ch.cox(formula, users, **options), []
    for sums_a_day in (1000, 600, 400, 300):  # split by three categories, by two, by one, by none
        monkeypatch.setattr(engine_design, "MOST_SUMS", sums_a_day * theirs._moments.time.shape[0])
        ours = in_engine(formula, table, **options)
        same(ours, theirs)
        n_patterns.append(ours.n_patterns)
    assert n_patterns == sorted(set(n_patterns), reverse=True)
    assert n_patterns[-1] <= 2 * theirs._moments.time.shape[0]


def test_many_strata_with_late_entry(users):
    data = users.assign(team=users["team"] % 60)
    same(in_engine("x", data, entry="entry", strata="team"), ch.cox("x", data, entry="entry", strata="team"))


def test_the_door_takes_numbers_to_the_engine(users, table):
    plain = check_method("efron", 0.0, 0.0, ())
    assert not stays_in_engine(parse_formula("channel + C(level)"), table, plain)
    assert stays_in_engine(parse_formula("channel:level"), table, plain)
    assert not stays_in_engine(parse_formula("x"), table, check_method("grouped", 0.0, 0.0, ()))
    fit = ch.cox("x + channel", table, cluster="team")
    assert fit._training is None
    same(fit, ch.cox("x + channel", users, cluster="team"))


def test_another_engine_is_refused(table):
    with pytest.raises(InputError, match="Cut them into categories"):
        in_engine("x", replace(table, dialect_engine="spark"))


def test_too_many_sums_are_refused(table, monkeypatch):
    monkeypatch.setattr(engine_design, "MOST_SUMS", 100)
    with pytest.raises(InputError, match="the sums of each step are more than can be fetched"):
        in_engine("x + amount", table)


def test_far_from_zero_and_from_each_other(users):
    # in memory and here the covariate keeps 8 digits of its spread; both are compared with the one near zero
    data = users.assign(far=users["far"] - 1e8)
    ours = in_engine("far + x + channel", users, entry="entry", cluster="team")
    near = ch.cox("far + x + channel", data, entry="entry", cluster="team")
    np.testing.assert_allclose(ours.table["estimate"], near.table["estimate"], rtol=1e-7)
    scaled = users.assign(huge=users["x"] * 1e30, tiny=users["exposure"] * 1e-30)
    same(in_engine("huge + tiny", scaled), ch.cox("huge + tiny", scaled), rtol=1e-9)


def test_an_offset_far_away_costs_one_more_statement(users):
    data = users.assign(exposure=users["exposure"] + 5000)
    same(in_engine("x", data, offset="exposure"), ch.cox("x", data, offset="exposure"), rtol=1e-8)


def test_a_history_is_clustered_by_user():
    rng = np.random.default_rng(5)
    rows = []
    for user in range(400):
        end, churns = int(rng.integers(5, 120)), bool(rng.random() < 0.6)
        cuts = sorted({0, end, *rng.integers(1, end, 4).tolist()}) if end > 1 else [0, end]
        for start, stop in itertools.pairwise(cuts):
            rows.append(
                (user, start, stop, churns and stop == end, rng.normal() + 0.01 * start, rng.choice(["a", "b"]))
            )
    history = pd.DataFrame(rows, columns=["user_id", "start", "stop", "churned", "amount", "stage"])
    options = {"duration": "stop", "entry": "start", "cluster": "user_id"}
    same(in_engine("amount + stage", history, **options), ch.cox("amount + stage", history, **options))


def test_a_gap_in_the_log_leaves_nothing_behind():
    # nobody is at risk from day 6 to day 20
    rng = np.random.default_rng(6)
    n = 300
    early = np.arange(n) < 150
    data = pd.DataFrame({"x": rng.normal(size=n), "entry": np.where(early, 0, 20)})
    data["duration"] = data["entry"] + rng.integers(1, 6, n)
    data["churned"] = rng.random(n) < 0.5
    data.loc[:3, ["entry", "duration"]] = [8, 12]  # at risk on no day with churn
    data.loc[:3, "churned"] = False
    data.loc[:1, "x"] = 40.0
    with pytest.warns(ChurnsurvWarning, match="rows at risk churn"):
        same(in_engine("x", data, entry="entry"), ch.cox("x", data, entry="entry"))


def test_times_that_are_no_whole_days(users):
    data = users.assign(duration=users["duration"] / 7, entry=users["entry"] / 7)
    same(in_engine("x + paid", data, entry="entry"), ch.cox("x + paid", data, entry="entry"))


def test_rows_without_risk_and_categories_without_information(users):
    data = users.copy()
    data.loc[:9, "plan"] = "never"
    data.loc[:9, "entry"] = data.loc[:9, "duration"]
    data.loc[:9, "churned"] = False
    ours, theirs = (fit("x + plan", data, entry="entry") for fit in (in_engine, ch.cox))
    assert "nobody at risk on a day with churn" in " ".join(ours.notes)
    assert ours.n_no_risk >= 10
    same(ours, theirs)


def test_a_cause_of_churn(users):
    rng = np.random.default_rng(3)
    data = users.assign(reason=rng.choice(["rigid", "policy", None], len(users)))
    options = {"cause": "reason", "cause_of_interest": "rigid", "entry": "entry"}
    same(in_engine("x + channel", data, **options), ch.cox("x + channel", data, **options))


def test_types_of_the_engine(users):
    connection = duckdb.connect()
    connection.register("frame", users)
    connection.execute("CREATE TYPE channels AS ENUM ('organic', 'friend', 'ads')")
    connection.execute(
        "CREATE TABLE users AS SELECT * REPLACE (CAST(channel AS channels) AS channel, CAST(amount AS DECIMAL(12, 2))"
        " AS amount, CAST(churned AS TINYINT) AS churned, CAST(duration AS USMALLINT) AS duration) FROM frame"
    )
    ordered = pd.Categorical(users["channel"], ["organic", "friend", "ads"])
    data = users.assign(channel=ordered, amount=users["amount"].round(2))
    options = {"cluster": "user_id"}
    same(
        in_engine("channel + amount", relation_of(connection.sql("FROM users")), **options),
        ch.cox("channel + amount", data, **options),
    )


def test_a_crowded_day_and_few_events_are_warned_of():
    rng = np.random.default_rng(4)
    data = pd.DataFrame({"x": rng.normal(size=200), "duration": 30, "churned": rng.random(200) < 0.6})
    with pytest.warns(ChurnsurvWarning, match="rows at risk churn"):
        ours = in_engine("x", data)
    with pytest.warns(ChurnsurvWarning, match="rows at risk churn"):
        theirs = ch.cox("x", data)
    same(ours, theirs)


def test_what_a_fit_without_rows_answers(users, table):
    fit, theirs = in_engine("x + channel", table), ch.cox("x + channel", users)
    again = ch.CoxFit.from_json(fit.to_json())
    new = users.head(5)
    np.testing.assert_array_equal(again.risk(new).values, fit.risk(new).values)
    probability = fit.churn_probability(new, horizon=30, alive_at=10)
    np.testing.assert_allclose(
        probability.upper, theirs.churn_probability(new, horizon=30, alive_at=10).upper, rtol=RTOL
    )
    ours, expected = fit.contrasts(variable="channel").table, theirs.contrasts(variable="channel").table
    np.testing.assert_allclose(ours["estimate"], expected["estimate"], rtol=1e-9, atol=1e-12)
    scored = table.arrow(fit.to_sql(table.name, keep=("user_id",))).to_pandas().set_index("user_id")
    np.testing.assert_allclose(
        scored.loc[new["user_id"], "linear_predictor"], fit.risk(new).values, rtol=1e-10, atol=1e-12
    )
    with pytest.raises(InputError, match="data="):
        fit.residuals()
    np.testing.assert_allclose(
        fit.residuals(data=users)["residual"], theirs.residuals()["residual"], rtol=1e-8, atol=1e-10
    )


ERRORS = {
    "missing": ("x + amount", {"amount": [None, np.inf, 3.0]}, InputError, "'amount' has 2 missing or infinite values"),
    "no finite logarithm": ("log(amount)", {"amount": [0.0]}, InputError, "is not a finite number in 1 row"),
    "no variance": ("x + amount", {"amount": 5.0}, InputError, "'amount' has no variance: every row is 5"),
    "one category": ("x + channel", {"channel": "ads"}, InputError, "'channel' has no variance"),
    "numbers as text": ("x + user_id", {"user_id": "number"}, InputError, "holds numbers written as text"),
    "nobody churned": ("x", {"churned": False}, ConvergenceError, "none of the 1,200 rows at risk churned"),
    "collinear": ("x + amount", {"amount": "copy of x"}, ConvergenceError, "'x' and 'amount' are collinear"),
    "does not vary in a stratum": ("x + level", {"level": "region"}, ConvergenceError, "'level' does not vary"),
    "a category without churn": ("x + plan", {"plan": "quiet"}, ConvergenceError, "'plan: quiet' .* has the event"),
    "separation": ("amount", {"amount": "churned"}, ConvergenceError, "'amount' to plus infinity"),
    "typo": ("x + chanel", {}, SchemaError, "Did you mean 'channel'"),
    "dates": ("x + day", {"day": pd.Timestamp("2024-05-01")}, InputError, "'day' holds dates or times"),
    "text in arithmetic": ("x + log(channel)", {}, InputError, "'channel' is a category"),
}


def changed(users, changes):
    data = users.copy()
    for column, value in changes.items():
        match value:
            case list():
                data[column] = data[column].astype(float)
                data.loc[: len(value) - 1, column] = np.array(value, dtype=float)
            case "number":
                data[column] = data[column].str.removeprefix("u")
            case "copy of x":
                data[column] = 3 * data["x"] + 2
            case "region":
                data[column] = data["region"].map({"north": 1, "south": 2}).fillna(3)
            case "quiet":
                data.loc[~data["churned"] & (data.index % 7 == 0), column] = "quiet"
            case "churned":
                data["duration"], data[column] = 30 + data["level"], data["churned"] * 1.0
            case _:
                data[column] = value
    return data


@pytest.mark.parametrize("which", ERRORS)
def test_errors_are_those_of_memory(users, which):
    formula, changes, error, message = ERRORS[which]
    data = changed(users, changes)
    options = {"strata": "region"} if which == "does not vary in a stratum" else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChurnsurvWarning)
        with pytest.raises(error, match=message):
            in_engine(formula, data, **options)
        with pytest.raises(error):
            ch.cox(formula, data, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ties": "grouped"}, "ties='grouped' needs the rows in memory"),
        ({"penalty": "firth"}, "penalty='firth' needs the rows in memory"),
        ({"penalty": 0.1}, "penalty=0.1 needs the rows in memory"),
        ({"weights": "times"}, "weights need weights_kind"),
        ({"weights": "x", "weights_kind": "sampling"}, "weights 'x' must be finite and > 0"),
        ({"weights": "drawn", "weights_kind": "frequency"}, "weights 'drawn' must be whole numbers"),
        ({"offset": "far"}, "offset 'far' must lie between"),
        ({"offset": "channel"}, "'channel' must hold numbers to serve as an offset"),
        ({"cluster": "plan"}, "cluster column 'plan' must not have missing values"),
        ({"cluster": "paid"}, "cluster 'paid' has 2 values, too few"),
        ({"entry": "duration"}, "none of the 0 rows at risk churned"),
        ({"reference": {"chanel": "ads"}}, "Did you mean 'channel'"),
    ],
)
def test_arguments_that_cannot_be(table, options, message):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChurnsurvWarning)
        with pytest.raises((InputError, ConvergenceError), match=message):
            in_engine("x + channel", table, **options)


def test_a_basis_that_needs_every_row_is_refused(table):
    with pytest.raises(InputError, match=r"Use bs\(\) or poly\(\)"):
        in_engine("cr(x, df=4)", table)


def test_a_table_that_changes_while_it_is_fitted():
    connection = duckdb.connect()
    table = relation_of(
        connection.sql(
            "SELECT 1 + range % 90 AS duration, range % 7 = 0 AND range % 90 < 80 AS churned, random() AS x"
            " FROM range(9000) WHERE random() < 0.5"
        )
    )
    with pytest.raises(InputError, match="write it to a table first"):
        in_engine("x", table)


def test_names_of_any_kind(users):
    renamed = {"x": "end", "amount": 'a "b"', "channel": "k0", "team": "cluster", "duration": "churnsurv_end"}
    data = users.rename(columns=renamed)
    ours, theirs = (
        fit('end + log1p(`a "b"`) + k0', data, duration="churnsurv_end", cluster="cluster")
        for fit in (in_engine, ch.cox)
    )
    same(ours, theirs)


def test_a_million_rows_within_300_megabytes(tmp_path):
    file = tmp_path / "users.parquet"
    numbers = ", ".join(f"(hash(i, {j}) % 1000) / 1000.0e0 AS x{j}" for j in range(4))
    duckdb.sql(
        f"COPY (SELECT {numbers}, 'c' || (i % 3) AS channel, CAST(1 + hash(i, 9) % 200 AS INTEGER) AS duration,"
        f" hash(i, 8) % 3 = 0 AS churned FROM range(1000000) AS r(i)) TO '{file}'"
    )
    formula = "x0 + x1 + x2 + x3 + channel"
    with ch.connect(memory_limit="300MB") as engine:
        ours = in_engine(formula, relation_of(engine.sql(f"FROM '{file}'")))
    assert ours.n == 1_000_000
    assert ours.n_patterns == 200 * 2 * 3
    assert (np.abs(ours.table["statistic"]) < 4).all()
