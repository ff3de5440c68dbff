"""Estimators on a table inside an engine: only counts come, and every answer is that of the table in memory."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest

from churnsurv import survival as s
from churnsurv.data.relation import Relation, relation_of
from churnsurv.errors import ChurnsurvWarning, InputError, SchemaError
from churnsurv.survival import patterns
from churnsurv.survival.inputs import survival_data

Call = Callable[[Any], Any]


def random_table(seed: int, n: int = 400) -> pd.DataFrame:
    """Rows of every type that tables have, with ties, missing values and late entries."""
    rng = np.random.default_rng(seed)
    entry = rng.integers(0, 12, n)
    duration = entry + rng.integers(0, 25, n)
    frame = pd.DataFrame(
        {
            "user_id": rng.integers(0, n // 3, n),
            "entry": entry,
            "duration": duration,
            "churned": rng.random(n) < 0.6,
            "plan": rng.choice(["pro", "free", "basic", "Über"], n).astype(object),
            "stage": pd.Categorical(rng.choice(["new", "mature", "growth"], n), ["new", "growth", "mature"]),
            "level": rng.integers(1, 4, n),
            "invited": rng.random(n) < 0.4,
            "cohort": rng.choice(np.array(["2024-01-01", "2024-02-01"], dtype="datetime64[s]"), n),
            "why": rng.choice(["price", "moved"], n).astype(object),
            "age": rng.integers(18, 24, n).astype(float),
            "copies": rng.integers(1, 5, n),
            "chance": rng.choice([0.5, 1.25, 2.0], n),
            "exposure": rng.choice([-0.5, 0.0, 0.25], n),
        }
    )
    frame.loc[rng.random(n) < 0.1, ["plan"]] = None
    frame.loc[rng.random(n) < 0.3, ["why"]] = None
    return frame


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        yield opened


def made_of(frame: pd.DataFrame, name: str, connection: duckdb.DuckDBPyConnection) -> tuple[pd.DataFrame, Any]:
    """The table in memory, and the same table inside an engine with decimals in it."""
    connection.register("given", frame)
    connection.execute(f"CREATE TABLE {name} AS SELECT * REPLACE (CAST(level AS DECIMAL(9, 2)) AS level) FROM given")
    return frame.assign(level=frame["level"].astype(float)), connection.table(name)


@pytest.fixture(scope="module")
def both(connection: duckdb.DuckDBPyConnection) -> tuple[pd.DataFrame, Any]:
    return made_of(random_table(1), "t1", connection)


LATE = {"entry": "entry"}
CURVES: dict[str, Call] = {
    "one curve": partial(s.kaplan_meier),
    "late entry": partial(s.kaplan_meier, **LATE),
    "text groups": partial(s.kaplan_meier, by="plan"),
    "categories": partial(s.kaplan_meier, by="stage", ci="log", **LATE),
    "decimals, dates, booleans": partial(s.kaplan_meier, by=["level", "cohort", "invited"]),
    "frequencies": partial(s.kaplan_meier, by="plan", weights="copies", weights_kind="frequency", **LATE),
    "frequencies also as groups": partial(s.kaplan_meier, by="copies", weights="copies", weights_kind="frequency"),
    "rmst": partial(s.rmst, by="stage", horizon=15, **LATE),
    "rmst with frequencies": partial(s.rmst, horizon=15, weights="copies", weights_kind="frequency"),
    "rmst difference": partial(s.rmst_difference, by="plan", horizon=12, reference="free"),
    "log-rank": partial(s.logrank, by="plan"),
    "log-rank, stratified": partial(s.logrank, by="plan", strata=["stage", "invited"], **LATE),
    "log-rank, weighted days": partial(s.logrank, by="stage", weighting=("fleming-harrington", 1, 0.5)),
    "log-rank, frequencies": partial(s.logrank, by="stage", weights="copies", weights_kind="frequency"),
    "trend": partial(s.logrank, by="stage", trend=True, **LATE),
    "max-combo": partial(s.logrank, by="invited", weighting="max-combo"),
    "pairs": partial(s.pairwise_logrank, by="plan", strata="invited", horizon=10, **LATE),
    "incidence": partial(s.cumulative_incidence, cause="why", by="stage"),
    "incidence, late entry": partial(s.cumulative_incidence, cause="why", **LATE),
    "incidence, delta": partial(s.cumulative_incidence, cause="why", by="invited", variance="delta", **LATE),
    "incidence, frequencies": partial(s.cumulative_incidence, cause="why", weights="copies", weights_kind="frequency"),
    "Gray": partial(s.gray_test, cause="why", by="stage"),
}
# Here every row counts by itself, so that sums run in another order.
BY_ROW: dict[str, Call] = {
    "curve by cluster": partial(s.kaplan_meier, by="invited", cluster="user_id", **LATE),
    "curve by cluster and frequency": partial(
        s.kaplan_meier, by="stage", cluster="user_id", weights="copies", weights_kind="frequency"
    ),
    "curve, sampled rows": partial(s.kaplan_meier, by="plan", weights="chance", weights_kind="sampling"),
    "rmst by cluster": partial(s.rmst_difference, by="plan", horizon=12, cluster="user_id"),
    "log-rank by cluster": partial(s.logrank, by="stage", strata="invited", cluster="user_id", **LATE),
    "log-rank, sampled rows": partial(s.logrank, by="stage", weights="chance", weights_kind="sampling"),
    "incidence by cluster": partial(s.cumulative_incidence, cause="why", by="stage", cluster="user_id"),
    "incidence, sampled rows": partial(
        s.cumulative_incidence, cause="why", weights="chance", weights_kind="sampling", **LATE
    ),
    "Gray, late entry": partial(s.gray_test, cause="why", by="invited", strata="stage", **LATE),
    "concordance": partial(s.concordance, score="age", **LATE),
    "concordance by cluster": partial(s.concordance, score="age", cluster="user_id", strata="stage"),
    "concordance, sampled rows": partial(s.concordance, score="age", weights="chance", weights_kind="sampling"),
    "Uno's concordance": partial(s.concordance, score="age", method="uno", horizon=20),
}
MODELS: dict[str, Call] = {
    "categories": partial(s.cox, "plan + stage"),
    "all kinds, late entry": partial(s.cox, "plan * invited + C(level)", strata="stage", **LATE),
    "Breslow": partial(s.cox, "stage + invited", ties="breslow", **LATE),
    "grouped days": partial(s.cox, "stage + invited", ties="grouped"),
    "reference": partial(s.cox, "plan", reference={"plan": "pro"}),
    "Firth": partial(s.cox, "stage", penalty="firth"),
    "ridge": partial(s.cox, "plan + age", penalty=0.1, **LATE),
    "lasso": partial(s.cox, "plan + age", penalty=0.02, l1_ratio=1.0),
    "numbers and what is learned of them": partial(s.cox, "scale(level) + bs(age, df=4)", **LATE),
    "a cause": partial(s.cox, "plan", cause="why", cause_of_interest="price"),
    "frequencies": partial(s.cox, "plan + age", weights="copies", weights_kind="frequency", **LATE),
    "sampled rows": partial(s.cox, "plan + scale(age)", weights="chance", weights_kind="sampling", **LATE),
    "clusters": partial(s.cox, "plan + stage", cluster="user_id", **LATE),
    "clusters and frequencies": partial(
        s.cox, "plan", cluster="user_id", weights="copies", weights_kind="frequency", strata="stage"
    ),
    "offset": partial(s.cox, "plan + invited", offset="exposure"),
}
REASONS: dict[str, Call] = {
    "Fine and Gray": partial(s.fine_gray, "plan + stage", cause="why", cause_of_interest="price", **LATE),
    "Fine and Gray, frequencies": partial(
        s.fine_gray, "plan", cause="why", cause_of_interest="moved", weights="copies", weights_kind="frequency"
    ),
    "Fine and Gray, clusters": partial(
        s.fine_gray, "stage", cause="why", cause_of_interest="price", cluster="user_id", strata="invited"
    ),
    "as cmprsk": partial(s.fine_gray, "plan", cause="why", cause_of_interest="price", compat="cmprsk"),
}


def quietly(call: Call, data: Any) -> tuple[Any, list[str]]:
    """The answer, and what it warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = call(data)
    return found, [str(one.message) for one in caught]


def facts_of(result: Any) -> dict[str, Any]:
    """What a result says beside its table, but what differs on purpose: what was fetched, on how many rows it ran."""
    facts = dict(result._facts())
    fetched = facts.pop("data", None)
    facts.pop("n_patterns", None)
    facts.pop("iterations", None)
    return facts | ({"fetched": True} if fetched and "fetched_rows" in fetched else {})


def alike(there: Any, here: Any, rtol: float) -> None:
    """The same nested value; numbers to `rtol`, 0 for exactly."""
    if isinstance(here, np.ndarray):
        there, here = there.tolist(), here.tolist()
    if isinstance(here, dict):
        assert list(there) == list(here)
        for key in here:
            alike(there[key], here[key], rtol)
    elif isinstance(here, (list, tuple)):
        assert len(there) == len(here)
        for one, other in zip(there, here, strict=True):
            alike(one, other, rtol)
    elif isinstance(here, float) and rtol:
        assert there == pytest.approx(here, rel=rtol, abs=rtol, nan_ok=True)
    elif isinstance(here, float):
        assert there == here or (np.isnan(there) and np.isnan(here))
    else:
        assert there == here


def same(call: Call, both: tuple[pd.DataFrame, Any], *, rtol: float) -> tuple[Any, Any]:
    frame, relation = both
    here, said_here = quietly(call, frame)
    there, said_there = quietly(call, relation)
    assert said_there == said_here
    pd.testing.assert_frame_equal(there.table, here.table, check_exact=not rtol, rtol=rtol, atol=rtol)
    facts = facts_of(there)
    assert facts.pop("fetched")
    alike(facts, facts_of(here), rtol)
    if rtol == 0:
        assert repr(there) == repr(here)
    return there, here


@pytest.mark.parametrize("name", CURVES)
def test_curves_and_tests_are_exactly_those_of_the_table(both: tuple[pd.DataFrame, Any], name: str) -> None:
    same(CURVES[name], both, rtol=0)


@pytest.mark.parametrize("name", BY_ROW)
def test_what_counts_each_row_is_the_same_but_for_the_order_of_sums(both: tuple[pd.DataFrame, Any], name: str) -> None:
    same(BY_ROW[name], both, rtol=1e-11)


@pytest.mark.parametrize("name", MODELS)
def test_cox_is_that_of_the_table(both: tuple[pd.DataFrame, Any], name: str) -> None:
    there, here = same(MODELS[name], both, rtol=1e-10)
    np.testing.assert_allclose(there.covariance, here.covariance, rtol=1e-9, atol=1e-12)
    pd.testing.assert_frame_equal(there.baseline, here.baseline, rtol=1e-9)
    assert (there.weights, there.weights_kind, there.notes) == (here.weights, here.weights_kind, here.notes)
    new = both[0].head(5)
    np.testing.assert_allclose(there.survival(new, [3, 9]).lower, here.survival(new, [3, 9]).lower, rtol=1e-8)


@pytest.mark.parametrize("name", REASONS)
def test_fine_and_gray_is_that_of_the_table(both: tuple[pd.DataFrame, Any], name: str) -> None:
    there, here = same(REASONS[name], both, rtol=1e-9)
    np.testing.assert_allclose(there.covariance, here.covariance, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("seed", range(2, 8))
def test_random_tables_give_the_same_counts(connection: duckdb.DuckDBPyConnection, seed: int) -> None:
    both = made_of(random_table(seed, n=25 * seed), f"t{seed}", connection)
    same(partial(s.kaplan_meier, by=["plan", "level"], **LATE), both, rtol=0)
    same(partial(s.logrank, by="stage", strata="plan"), both, rtol=0)
    same(partial(s.cox, "stage + invited", **LATE), both, rtol=1e-10)


@pytest.mark.filterwarnings("ignore:.*churned on the day of entry")
def test_the_answers_beside_the_table_are_the_same(both: tuple[pd.DataFrame, Any]) -> None:
    frame, relation = both
    here, there = (s.kaplan_meier(data, by="stage", entry="entry") for data in (frame, relation))
    pd.testing.assert_frame_equal(there.at([3, 7]), here.at([3, 7]), check_exact=True)
    pd.testing.assert_frame_equal(there.quantiles([0.2, 0.5]), here.quantiles([0.2, 0.5]), check_exact=True)
    pd.testing.assert_frame_equal(there.number_at_risk([0, 7]), here.number_at_risk([0, 7]), check_exact=True)
    pd.testing.assert_frame_equal(there.bands(between=(9, 14)), here.bands(between=(9, 14)), check_exact=True)
    pd.testing.assert_frame_equal(there.smoothed_hazard(bandwidth=4), here.smoothed_hazard(bandwidth=4))
    here, there = (s.cumulative_incidence(data, cause="why", by="stage", entry="entry") for data in (frame, relation))
    pd.testing.assert_frame_equal(there.bounds("price"), here.bounds("price"), rtol=1e-12)
    pd.testing.assert_frame_equal(s.logrank(relation, by="plan").effects, s.logrank(frame, by="plan").effects)
    here, there = (s.gray_test(data, cause="why", by="stage", entry="entry").effects for data in (frame, relation))
    pd.testing.assert_frame_equal(there, here, rtol=1e-10)


@pytest.mark.filterwarnings("ignore:.*churned on the day of entry")
def test_questions_to_the_rows_of_a_fit(both: tuple[pd.DataFrame, Any]) -> None:
    frame, relation = both
    here, there = (s.cox("plan + stage", data, entry="entry") for data in (frame, relation))
    assert there.concordance().estimate == pytest.approx(here.concordance().estimate, rel=1e-13)
    pd.testing.assert_frame_equal(s.ph_test(there).table, s.ph_test(here).table, rtol=1e-9)
    with pytest.raises(InputError, match="only counts were fetched"):
        there.residuals()
    with pytest.raises(InputError, match="only counts were fetched"):
        here.residuals(data=relation)
    pd.testing.assert_frame_equal(there.residuals(data=frame), here.residuals(), rtol=1e-9, atol=1e-9)
    assert s.ph_test(here, data=relation).table.shape == s.ph_test(here).table.shape


def test_predictions_go_row_by_row_through_a_relation(both: tuple[pd.DataFrame, Any]) -> None:
    frame, relation = both
    fit = s.cox("plan + stage", frame)
    few = relation.limit(20)
    expected = fit.churn_probability(frame.head(20), horizon=10)
    np.testing.assert_array_equal(fit.churn_probability(few, horizon=10).values, expected.values)
    assert fit.churn_probability(few, horizon=10).table["user_id"].tolist() == frame["user_id"].head(20).tolist()


def test_evaluation_of_predictions(both: tuple[pd.DataFrame, Any]) -> None:
    frame, relation = both
    chance = "exp(-age / 9)"
    relation, frame = relation.project(f"*, {chance} AS p"), frame.assign(p=np.exp(-frame["age"] / 9))
    for ask in (
        partial(s.calibration, probability="p", horizon=12, groups=3, entry="entry"),
        partial(s.decision_curve, probability="p", horizon=12, thresholds=[0.1, 0.12], entry="entry"),
        partial(s.time_dependent_auc, score="p", times=[6, 12], entry="entry"),
        partial(s.compare_concordance, scores=["p", "level"]),
    ):
        same(ask, (frame, relation), rtol=1e-8)
    for ask in (
        partial(s.concordance, score=np.arange(len(frame))),
        partial(s.brier_score, survival=np.full((len(frame), 1), 0.5), times=[6]),
    ):
        with pytest.raises(InputError, match="its rows have no order"):
            ask(relation)


def test_a_path_of_penalties_deals_rows_into_folds(both: tuple[pd.DataFrame, Any]) -> None:
    path = s.cox_path("plan + age", both[1], penalties=[0.2, 0.02], folds=3)
    again = s.cox_path("plan + age", both[1], penalties=[0.2, 0.02], folds=3)
    here = s.cox_path("plan + age", both[0], penalties=[0.2, 0.02], folds=3)
    pd.testing.assert_frame_equal(path.table, again.table, check_exact=True)
    pd.testing.assert_frame_equal(path.coefficients, here.coefficients, rtol=1e-7)
    assert (path.n, path.weights_kind) == (here.n, None)


def test_only_as_many_rows_come_as_there_are_patterns(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("""
        CREATE OR REPLACE TABLE large AS
        SELECT range AS user_id, CAST(hash(range) % 90 AS INTEGER) AS duration,
               hash(range, 1) % 3 > 0 AND hash(range) % 90 < 60 AS churned, hash(range, 3) % 2 = 0 AS invited,
               CASE hash(range, 2) % 3 WHEN 0 THEN 'ads' WHEN 1 THEN 'shop' ELSE 'friend' END AS channel
        FROM range(2_000_000)
    """)
    large = connection.table("large")
    curves = s.kaplan_meier(large, by="channel")
    assert curves._facts()["data"] == {"rows": 2_000_000, "fetched_rows": (60 * 2 + 30) * 3}
    assert [group["n"] for group in curves._facts()["groups"]] == large.query(
        "large_view", "SELECT count(*) FROM large_view GROUP BY channel ORDER BY channel"
    ).df().iloc[:, 0].tolist()
    fit = s.cox("channel + invited", large)
    assert fit._facts()["data"]["fetched_rows"] == (60 * 2 + 30) * 3 * 2
    assert fit.n == 2_000_000
    assert (fit.weights, fit.weights_kind) == (None, None)
    assert repr(fit).startswith("<CoxFit: channel + invited: 2,000,000 rows, ")


def test_facts_of_the_fetch_reach_the_json(both: tuple[pd.DataFrame, Any]) -> None:
    text = s.logrank(both[1], by="stage").to_json()
    assert '"data": {"rows": 400, "fetched_rows": ' in text


def test_more_than_five_million_rows_come_with_a_warning(
    both: tuple[pd.DataFrame, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patterns, "MOST_ROWS", 50)
    with pytest.warns(ChurnsurvWarning, match=r"rows will be fetched of the 400 of <Relation.*cluster=None") as caught:
        s.kaplan_meier(both[1], by="plan")
    assert caught[0].filename == __file__


def bad(connection: duckdb.DuckDBPyConnection, changed: str) -> Any:
    """The first table with some values that cannot be used: 'column = value WHERE condition'."""
    connection.execute("CREATE OR REPLACE TABLE bad AS FROM t1")
    connection.execute(f"UPDATE bad SET {changed}")
    return connection.table("bad")


@pytest.mark.parametrize(
    ("changed", "named", "message"),
    [
        ("duration = -2 WHERE level = 1", {}, r"duration must be >= 0; \d\d+ such rows, such as -2\. Check"),
        ("duration = NULL WHERE level = 1", {}, r"duration must be a finite number of days; \d\d+ such rows, such as"),
        ("churned = NULL WHERE level = 1", {}, r"churned must hold true/false or 0/1; \d\d+ such rows, such as nan"),
        ("duration = 0 WHERE level = 1", LATE, r"duration must not be less than entry; \d\d+ such rows, such as 0 < "),
        ("user_id = NULL WHERE level = 1", {"cluster": "user_id"}, r"must not have missing values; \d\d+ such rows\."),
        ("copies = 0 WHERE level = 1", "frequency", r"'copies' must be finite and > 0; \d\d+ such rows, such as 0"),
        (
            "copies = NULL WHERE level = 1",
            "frequency",
            r"'copies' must be finite and > 0; \d\d+ such rows, such as nan",
        ),
        ("chance = 'nan' WHERE level = 1", "chance", r"'chance' must be finite and > 0; \d\d+ such rows, such as nan"),
        ("chance = 0.5", "chance", r"whole numbers where a row stands for so many users; 400 such rows, such as 0\.5"),
    ],
)
def test_values_that_cannot_be_used_are_counted(
    both: Any, connection: duckdb.DuckDBPyConnection, changed: str, named: Any, message: str
) -> None:
    if isinstance(named, str):
        named = {"weights": {"frequency": "copies"}.get(named, named), "weights_kind": "frequency"}
    with pytest.raises(InputError, match=message):
        s.kaplan_meier(bad(connection, changed), **named)


def test_missing_covariates_and_names(both: tuple[pd.DataFrame, Any], connection: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(InputError, match=r"covariate 'age' has \d\d+ missing or infinite values, such as nan"):
        s.cox("plan + age", bad(connection, "age = NULL WHERE level = 1"))
    with pytest.raises(InputError, match=r"'log\(age\)' is not a finite number in \d\d+ rows\. Use log1p"):
        s.cox("log(age)", bad(connection, "age = 0 WHERE level = 1"))
    with pytest.raises(SchemaError, match=r"'stagee' is missing\. Did you mean 'stage'"):
        s.kaplan_meier(both[1], by="stagee")
    with pytest.raises(SchemaError, match=r"'copie' is missing\. Did you mean 'copies'"):
        s.kaplan_meier(both[1], weights="copie", weights_kind="frequency")
    with pytest.raises(SchemaError, match="'plan' must hold numbers of days; it has the type VARCHAR"):
        s.kaplan_meier(both[1], duration="plan")
    with pytest.raises(SchemaError, match="'cohort' must hold true/false or 0/1; it has the type TIMESTAMP"):
        s.kaplan_meier(both[1], event="cohort")
    with pytest.raises(InputError, match="data has no rows"):
        s.kaplan_meier(both[1].filter("level > 100"))
    with pytest.raises(SchemaError, match="two columns have the same name"):
        s.kaplan_meier(both[1].project("duration, churned, plan AS Churned"))
    with pytest.raises(InputError, match="covariate 'plan' has no variance"):
        s.cox("plan", both[1].filter("plan = 'pro'"))


@pytest.mark.filterwarnings("ignore:.*churned on the day of entry")
def test_arrays_are_those_of_a_table_in_the_order_of_its_values(both: tuple[pd.DataFrame, Any]) -> None:
    found = survival_data(both[1], by="stage", entry="entry", columns=["cohort", "invited", "level", "copies"])
    assert found.n_users == found.n_rows == 400
    assert (found.weights_kind, found.named_weights_kind) == ("frequency", None)
    assert found.duration.dtype == found.entry.dtype == np.int64
    assert found.churned.dtype == bool
    kinds = {"stage": "category", "cohort": "datetime64[s]", "invited": "bool", "level": "float64", "copies": "int64"}
    assert {name: str(found.frame[name].dtype) for name in kinds} == kinds
    every = survival_data(both[1], columns=None)
    assert list(every.frame) == list(both[0])


def test_a_relation_of_our_own_brings_schema_facts_and_orders() -> None:
    from churnsurv.data import connect

    with connect() as engine:
        made = engine.table("spells", "SELECT range % 7 AS user_id, 0 AS entry, range % 5 AS duration, range % 2 = 0 AS"
                            " churned, ['low', 'high'][1 + range % 2] AS tier FROM range(100)")  # fmt: skip
        relation = Relation.of_engine(
            engine, made, schema="spells", known_at={"tier": "day 30"}, facts={"spells": "all", "rule": "30 days"},
            orders={"tier": ("low", "high")},
        )  # fmt: skip
        found = survival_data(relation, by="tier")
        assert (found.cluster_name, found.n_clusters, found.names.entry) == ("user_id", 7, "entry")
        assert found.group_labels == ("low", "high")
        assert found.known_at == {"spell": "origin", "tier": "day 30"}
        assert found.source["data"] == {"spells": "all", "rule": "30 days", "rows": 100, "fetched_rows": 70}
        assert survival_data(relation, by="tier", cluster=None).source["data"]["fetched_rows"] == 10
        assert relation_of(relation) is relation
