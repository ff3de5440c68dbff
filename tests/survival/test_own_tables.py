"""History and gaps enter estimators under their own names; panels and snapshots are refused, with the way out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest

from churnsurv import survival as s
from churnsurv.data import ActivityLog
from churnsurv.data.relation import Relation
from churnsurv.errors import InputError
from churnsurv.survival.covariates import Row
from churnsurv.survival.inputs import survival_data
from churnsurv.survival.regression import latest_known
from churnsurv.tables import Result
from tests.proportional_app import proportional_app


@pytest.fixture(scope="module")
def log() -> ActivityLog:
    return proportional_app(150, seed=3).log


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Table(Result):
    """A table of our own with any columns."""

    _schema: ClassVar[str] = "spells"

    frame: pd.DataFrame
    known_at: Any = None
    spells: str = "first"

    @property
    def table(self) -> pd.DataFrame:
        return self.frame.copy()

    def _facts(self) -> dict[str, Any]:
        return {"rule": "30 days"}


class History(Table):
    _schema: ClassVar[str] = "history"


class Gaps(Table):
    _schema: ClassVar[str] = "gaps"


def test_a_history_is_start_stop_churned_clustered_by_user(log: ActivityLog) -> None:
    history = log.history(features=["n_investments", "balance"])
    found = survival_data(history)
    table = history.table
    assert (found.names.duration, found.names.event, found.names.entry) == ("stop", "churned", "start")
    np.testing.assert_array_equal(found.duration, table["stop"])
    np.testing.assert_array_equal(found.entry, table["start"])
    assert (found.cluster_name, found.n_clusters) == ("user_id", table["user_id"].nunique())
    assert survival_data(history, cluster=None).cluster_codes is None
    fit = s.cox("channel + n_investments + spell", history)
    named = s.cox(
        "channel + n_investments + spell", table, duration="stop", event="churned", entry="start", cluster="user_id"
    )
    np.testing.assert_array_equal(fit.table["estimate"], named.table["estimate"])
    np.testing.assert_array_equal(fit.covariance, named.covariance)
    known = dict(zip(fit.table["variable"], fit.table["known_at"], strict=True))
    assert known == {"channel": "given", "n_investments": "lag 60", "spell": "origin"}
    assert fit._facts()["data"]["lag"] == 60
    # a fit speaks of the columns that it read, so that it finds its rows again
    assert s.cox("channel", history).residuals(data=table).shape[0] == len(table)


def test_gaps_are_times_to_return_clustered_by_user(log: ActivityLog) -> None:
    gaps = log.gaps(features=["n_investments"])
    table = gaps.table
    curve = s.kaplan_meier(gaps, by="registration_gap")
    named = s.kaplan_meier(
        table, by="registration_gap", duration="duration", event="returned", entry="entry", cluster="user_id"
    )
    pd.testing.assert_frame_equal(curve.table, named.table, check_exact=True)
    assert curve.cluster == "user_id"
    assert curve.table["n_events"].sum() == table["returned"].sum()
    fit = s.cox("channel + tenure + n_investments", gaps)
    assert fit.n_events == table["returned"].sum()
    assert fit.table["known_at"].tolist()[-1] == "start_date"


@pytest.mark.parametrize("table", ["history", "gaps", "spells"])
def test_tables_left_in_the_engine_give_the_same_answers(log: ActivityLog, table: str) -> None:
    settings = {"spells": "all"} if table == "spells" else {"features": ["n_investments", "stage"]}
    here = getattr(log, "churn_spells" if table == "spells" else table)(**settings)
    there = log.relation(table, **settings)
    assert isinstance(there, Relation)
    by = "cohort" if table == "spells" else "stage"
    one, other = s.kaplan_meier(there, by=by), s.kaplan_meier(here, by=by)
    assert one.cluster == other.cluster == "user_id"
    pd.testing.assert_frame_equal(one.table, other.table, rtol=1e-11)
    one, other = (s.kaplan_meier(data, by=["channel", by], cluster=None) for data in (there, here))
    pd.testing.assert_frame_equal(one.table, other.table, check_exact=True)
    fits = [s.cox(f"channel + {'spell' if table == 'spells' else 'stage'}", data) for data in (there, here)]
    pd.testing.assert_frame_equal(fits[0].table, fits[1].table, rtol=1e-9)


@pytest.mark.parametrize("data", ["panel", "snapshot"])
@pytest.mark.parametrize("left", [False, True])
def test_panels_and_snapshots_are_no_times_to_an_event(log: ActivityLog, data: str, left: bool) -> None:
    settings = {} if data == "panel" else {"date": log.observed_until}
    name = "landmark_panel" if data == "panel" else data
    given = log.relation(name, **settings) if left else getattr(log, name)(**settings)
    message = r"log\.gaps\(\): P\(churn \| idle for d days\)" if data == "panel" else r"has no outcome.*log\.gaps\(\)"
    for ask in (
        lambda: s.kaplan_meier(given),
        lambda: s.logrank(given, by="channel"),
        lambda: s.rmst(given, horizon=10),
        lambda: s.cox("channel", given),
        lambda: s.cox("channel", given, duration="duration", event="churned"),
        lambda: s.cox_path("channel", given),
        lambda: s.cumulative_incidence(given, cause="channel"),
        lambda: s.concordance(given, score="idle_days"),
    ):
        with pytest.raises(InputError, match=message):
            ask()
    # what they are for: a fitted model predicts for them
    fit = s.cox("channel", log.churn_spells())
    assert fit.risk(given).table["user_id"].notna().all()


def test_names_that_a_call_gives_come_first() -> None:
    frame = pd.DataFrame(
        {"user_id": [1, 1, 2], "start": [0, 5, 0], "stop": [5, 9, 7], "churned": [False, True, True],
         "days": [5, 4, 7], "left": [True, False, True], "since": [1, 0, 2]}
    )  # fmt: skip
    found = survival_data(History(frame), duration="days", event="left", entry="since", cluster=None)
    assert found.duration.tolist() == [5, 4, 7]
    assert found.churned.tolist() == [True, False, True]
    assert found.entry.tolist() == [1, 0, 2]
    assert survival_data(History(frame)).entry.tolist() == [0, 5, 0]


COLUMNS = ("user_id", "spell", "origin", "start", "stop", "entry", "duration", "churned", "returned", "idle_days",
           "days_since_last_activity", "last_activity", "end_date", "origin_known", "channel")  # fmt: skip


def rows() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({name: rng.integers(1, 9, 40) for name in COLUMNS})
    frame[["start", "entry"]], frame["churned"], frame["returned"] = 0, frame["churned"] > 3, frame["returned"] > 3
    return frame


@pytest.mark.parametrize(
    ("table", "column", "reason", "way"),
    [
        (History, "start", "when observation began", r"log\.history\(features="),
        (History, "stop", "the outcome itself", r"log\.history\(features="),
        (History, "churned", "the outcome itself", r"log\.history\(features="),
        (History, "end_date", "only when the spell ends", r"log\.history\(features="),
        (History, "last_activity", "only when the spell ends", r"log\.history\(features="),
        (History, "idle_days", "by arithmetic", r"log\.gaps\(\)"),
        (History, "days_since_last_activity", "by arithmetic", r"log\.gaps\(\)"),
        (Gaps, "duration", "the outcome itself", r"log\.gaps\(features="),
        (Gaps, "returned", "the outcome itself", r"log\.gaps\(features="),
        (Gaps, "entry", "when observation began", r"log\.gaps\(features="),
        (Gaps, "idle_days", "time scale of a gap", r"log\.gaps\(features="),
        (Table, "end_date", "only when the spell ends", "baseline_day=30"),
        (Table, "idle_days", "by arithmetic", r"log\.gaps\(\)"),
    ],
)
def test_columns_that_know_the_outcome_are_no_covariates(table: Any, column: str, reason: str, way: str) -> None:
    data = table(rows(), {})
    with pytest.raises(InputError, match=rf"{column!r} cannot be a covariate: .*{reason}.* {way}"):
        s.cox(f"channel + log1p({column})", data)
    with pytest.raises(InputError, match=rf"{column!r} cannot be an offset"):
        s.cox("channel", data, offset=column)


def test_the_same_names_in_a_table_of_the_user_are_theirs() -> None:
    fit = s.cox("idle_days + last_activity", rows())
    assert fit.table["variable"].tolist() == ["idle_days", "last_activity"]


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({"a": "lag 30", "b": "origin"}, "lag 30"),
        ({"a": "lag 30", "b": "lag 45"}, "lag 30"),
        ({"a": "day 30", "b": "day 60"}, "day 60"),
        ({"a": "lag 30", "b": "given"}, "lag 30, given"),
        ({"a": "date", "b": "origin"}, "date"),
        ({"a": "origin", "b": "origin"}, "origin"),
        ({}, "given"),
    ],
)
def test_the_latest_part_says_when_a_term_is_known(known: dict[str, str], expected: str) -> None:
    assert latest_known(Row("a:b", "a:b", None, None, ("a", "b")), known) == expected
