"""Alerts of a day: against a log worked out by hand, a walk in plain Python, and what may not matter to them."""

from __future__ import annotations

import datetime
import functools
import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest

import churnsurv as ch
from churnsurv.data import ChurnRule, Feature
from churnsurv.errors import InputError, SchemaError
from churnsurv.tables import schema
from churnsurv.warning import TierScheme, alerts, alerts_replay, alerts_risk
from churnsurv.warning.alerts_risk import unknown
from churnsurv.warning.given_score import GivenScore
from tests.data.spark import on_spark, spark  # noqa: F401
from tests.data.test_score_days import log_and_scores
from tests.warning.alerts_oracle import World, expected_alerts
from tests.warning.schemes import rule, scheme

#: The file, whose name is that of the function.
MODULE = importlib.import_module("churnsurv.warning.alerts")
DAY = "2024-01-20"
RULES = {"high": rule("idle_days > 3 and balance < 100"), "low": rule("idle_days > 1 and balance < 1000")}
#: user: (last active day, balances by day)
LIVES = {
    "a": ("2024-01-15", {"2024-01-01": 50}),
    "b": ("2024-01-16", {"2024-01-01": 50}),
    "c": ("2024-01-18", {"2024-01-01": 500}),
    "d": ("2024-01-15", {"2024-01-01": 50, "2024-01-20": 500}),
    "e": ("2024-01-16", {"2024-01-01": 50}),
    "f": ("2024-01-14", {"2024-01-01": 500}),
    "g": ("2024-01-16", {"2024-01-01": 500, "2024-01-20": 5000}),
    "h": (None, {"2024-01-20": 0}),
    "i": ("2024-01-19", {"2024-01-01": 0}),
    "j": ("2024-01-15", {"2024-01-01": 95, "2024-01-20": 105}),
    "k": ("2024-01-15", {}),
}


def tables() -> dict[str, pd.DataFrame]:
    """Users who register on January 1 (h on the 20th) and are active once; e comes back on the 20th."""
    start = {user: "2024-01-20" if day is None else "2024-01-01" for user, (day, _) in LIVES.items()}
    events = [(user, f"{day} 10:00", "login") for user, (day, _) in LIVES.items() if day is not None]
    events += [("e", "2024-01-20 23:59", "invest"), ("a", "2024-01-19 08:00", "read")]
    balances = [(user, day, float(value)) for user, (_, known) in LIVES.items() for day, value in known.items()]
    return {
        "events": pd.DataFrame(events, columns=["user_id", "event_at", "kind"]).assign(amount=1.0),
        "users": pd.DataFrame({"user_id": list(start), "registered_at": list(start.values())}).assign(
            worth=[100.0 * k for k in range(len(start))]
        ),
        "balances": pd.DataFrame(balances, columns=["user_id", "date", "balance"]),
    }


def log_of(given: Mapping[str, pd.DataFrame] | None = None, **settings: Any) -> ch.ActivityLog:
    if given is None and not settings:
        return _by_hand()
    settings = {"observed_until": "2024-01-25", **settings}
    return ch.ActivityLog(**(tables() if given is None else given), rule=ChurnRule(6), **settings)


@functools.cache
def _by_hand() -> ch.ActivityLog:
    return log_of(tables())


def by_hand(**changed: Any) -> TierScheme:
    return scheme(RULES, churn_rule=ChurnRule(6), known_until=datetime.date(2024, 1, 1), **changed)


def told(found: Any) -> dict[Any, tuple[Any, ...]]:
    """What the oracle tells, of a table of alerts."""
    names = ["status", "resolved_by", "tier", "previous_tier", "since", "tier_since", "idle_days", "held"]
    rows = found.table[["user_id", *names]].astype(object)
    return {row[0]: tuple(row[1:]) for row in rows.where(rows.notna(), None).itertuples(index=False)}


# -------------------------------------------------------------------------------------------------------------- by hand


def test_every_status_date_and_reason_by_hand() -> None:
    found = alerts(by_hand(), log_of(), as_of=DAY)
    table = found.table.set_index("user_id")
    day = pd.Timestamp("2024-01-01")

    def on(number: int) -> pd.Timestamp:
        return day + pd.Timedelta(days=number - 1)

    assert told(found) == {
        "a": ("continued", None, "high", "high", on(17), on(19), 5, False),
        "b": ("upgraded", None, "high", "low", on(18), on(20), 4, False),
        "j": ("lowered", None, "low", "high", on(17), on(20), 5, False),
        "c": ("new", None, "low", None, on(20), on(20), 2, False),
        "d": ("lowered", None, "low", "high", on(17), on(20), 5, False),
        "e": ("resolved", "activity", None, "low", on(18), on(18), 0, False),
        "f": ("resolved", "churn", None, "low", on(16), on(16), 6, False),
        "g": ("resolved", "state", None, "low", on(18), on(18), 4, False),
    }
    assert table.loc["a", "fired"] == "idle_days > 3 and balance < 100"
    assert table.loc["c", "fired"] == "idle_days > 1 and balance < 1,000"
    assert table["fired"].isna().to_dict() == table["tier"].isna().to_dict()
    assert table["days_left"].to_dict() == {u: 6 - idle for u, idle in table["idle_days"].items()}
    assert table.loc["a", "churn_date"] == pd.Timestamp("2024-01-21")
    assert table.loc["f", "churn_date"] == pd.Timestamp(DAY)
    assert set(table["date"]) == {pd.Timestamp(DAY)}
    # of who is active or has churned there is nothing to foretell
    assert table["risk"].isna().to_dict() == {user: user in ("e", "f") for user in table.index}
    assert dict(found.counts) == {
        **{"in_tier": 5, "new": 1, "continued": 1, "upgraded": 1, "lowered": 2, "held": 0},
        **{"resolved": 3, "resolved_by_activity": 1, "resolved_by_churn": 1, "resolved_by_state": 1},
        **{"tier high": 2, "tier low": 3, "living": 10, "silent": 8, "without_margin": 5},
    }
    assert dict(found.in_tier) == {"high": 2, "low": 3}
    assert found.as_of == datetime.date(2024, 1, 20)


def test_hysteresis_holds_by_balance_alone() -> None:
    found = alerts(by_hand(), log_of(), as_of=DAY, hysteresis={"balance": 0.1})
    assert told(found)["j"] == (
        *("continued", None, "high", "high", pd.Timestamp("2024-01-17"), pd.Timestamp("2024-01-19"), 5, True),
    )
    assert told(found)["d"][0] == "lowered"  # 500 is beyond 110
    row = found.table.set_index("user_id").loc["j"]
    assert row["fired"] == "idle_days > 3 and balance < 110"
    assert found.counts["held"] == 1
    assert found.hysteresis == {"balance": 0.1}
    assert any("balance < 110" in note for note in found.notes)
    text = found.explain("j")
    assert "kept in the warning tier high" in text
    assert "balance is 105" in text
    with pytest.raises(InputError, match="idle_days"):
        alerts(by_hand(), log_of(), as_of=DAY, hysteresis={"idle_days": 0.1})


def test_the_risk_by_hand() -> None:
    # Gaps mature on the 20th began by the 14th: 10 at registration on the 1st, all of which lasted for 13 days and
    # more, and f's on the 14th, which had lasted for 6: churn in the whole, and in every cell
    found = alerts(by_hand(), log_of(), as_of=DAY)
    table = found.table.set_index("user_id")
    assert table.loc[["a", "c", "g"], "risk"].tolist() == [1.0, 1.0, 1.0]
    assert table["risk_lower"].isna().all()  # no share of 1 has limits
    lives = tables()
    extra = pd.DataFrame({"user_id": ["a", "b", "c"], "event_at": "2024-01-03 09:00", "kind": "login", "amount": 1.0})
    lives["events"] = pd.concat([lives["events"], extra])
    known = alerts(by_hand(), log_of(lives), as_of=DAY).table.set_index("user_id")
    # idle day 2: the gaps of a, b and c that began on the 1st are over; 7 others of the 1st, 3 of the 3rd and f's last
    # on: all 11 churned. Cells of balance (below 100, below 1,000, more, none): on idle day 2 all shares are 1 again
    assert known.loc["c", "risk"] == 1.0
    # idle day 1: 14 gaps, 3 of them returned; nobody in a tier is idle for one day, so look at it through the module
    counts = ch.data.gap_counts.gap_counts(log_of(lives).as_of(DAY), grids={"balance": (100.0, 1000.0)})
    cells = alerts_risk._Cells.of(counts)
    silent, churned = (each.sum(axis=0) for each in alerts_risk.sums_by_block(counts, cells))
    assert silent[:, 1].sum() == 14
    assert silent[:, 2].sum() == churned[:, 0].sum() == 11
    below, middle, none = (cells.code({"balance": np.array([k])}, 1)[0] for k in (0, 1, 3))
    # a, b, d, e, i, j and h's balance is of nobody's gap: 6 gaps of the 1st, 2 of the 3rd; 2 returned
    assert (silent[below, 1], churned[below, 1]) == (8, 6)
    assert (silent[middle, 1], churned[middle, 1]) == (5, 4)
    assert (silent[none, 1], churned[none, 1]) == (1, 1)
    share = alerts_risk._shares(*alerts_risk.sums_by_block(counts, cells), 0.95)
    assert share.by_cell[0][below, 1] == pytest.approx((6 + 10 * 11 / 14) / (8 + 10), abs=1e-12)
    assert share.nobody[0][1] == pytest.approx(11 / 14, abs=1e-12)


def test_margins_order_the_rows() -> None:
    given = pd.DataFrame({"user_id": ["a", "b", "c", "d", "e", "zz"], "margin": [1.0, 2.0, np.nan, 0.0, 7.0, 3.0]})
    found = alerts(by_hand(), log_of(), as_of=DAY, margin=given)
    table = found.table
    assert table["user_id"].tolist() == ["b", "a", "d", "c", "j", "g", "e", "f"]
    rows = table.set_index("user_id")
    assert rows.loc[["a", "b", "d"], "value_at_risk"].tolist() == [1.0, 2.0, 0.0]
    assert rows.loc[["c", "j"], "margin"].isna().all()
    assert rows.loc[["c", "j"], "value_at_risk"].isna().all()
    assert rows.loc["e", "margin"] == 7.0
    assert found.counts["without_margin"] == 2
    assert "margin: not known of 2 of 5 users in a tier." in found.notes
    assert "margin: 1 row of users that the log does not know." in found.notes
    column = alerts(by_hand(), log_of(), as_of=DAY, margin="worth")
    assert column.table.set_index("user_id").loc["c", "margin"] == 200.0
    without = alerts(by_hand(), log_of(), as_of=DAY)
    assert without.table[["margin", "value_at_risk", "value_lower", "value_upper"]].isna().all(axis=None)
    assert "No margin was given: what is at risk in money is not told." in without.notes


@pytest.mark.parametrize("kind", ["polars", "arrow", "csv"])
def test_margins_of_any_kind_of_table(kind: str, tmp_path: Any) -> None:
    import polars as pl
    import pyarrow as pa

    given, path = pd.DataFrame({"user_id": ["a", "b"], "margin": [1.5, 2.5]}), str(tmp_path / f"worth.{kind}")
    given.to_csv(path, index=False)
    frames = {"polars": pl.from_pandas(given), "arrow": pa.Table.from_pandas(given)}
    table = frames.get(kind, path)
    found = alerts(by_hand(), log_of(), as_of=DAY, margin=table).table.set_index("user_id")
    assert found.loc[["a", "b"], "margin"].tolist() == [1.5, 2.5]


@pytest.mark.parametrize(
    ("margin", "error", "message"),
    [
        (pd.DataFrame({"user_id": ["a"], "margin": [-1.0]}), InputError, "negative, infinite or no numbers, such as"),
        (pd.DataFrame({"user_id": ["a"], "margin": [np.inf]}), InputError, "negative, infinite or no numbers"),
        (pd.DataFrame({"user_id": ["a", "a"], "margin": [1.0, 2.0]}), InputError, "1 users have several rows"),
        (pd.DataFrame({"user_id": ["a", "a"], "margin": [1.0, 1.0]}), InputError, "1 users have several rows"),
        (pd.DataFrame({"user_id": ["a", "a"], "margin": [1.0, None]}), InputError, "such as user 'a'"),
        (pd.DataFrame({"user_id": ["a"], "worth": [1.0]}), SchemaError, "'margin' is missing"),
        ("wort", InputError, "Did you mean 'worth'"),
        ("cohort", SchemaError, "'cohort' must hold numbers"),
    ],
)
def test_margins_that_cannot_be(margin: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        alerts(by_hand(), log_of(), as_of=DAY, margin=margin)


def test_features_are_of_the_end_of_the_day() -> None:
    week = Feature("week", agg="count", last=7)
    found = alerts(by_hand(), log_of(), as_of=DAY, features=["n_investments", "worth", "tenure", "active_days", week])
    table = found.table.set_index("user_id")
    assert list(table.columns[-5:]) == ["n_investments", "worth", "tenure", "active_days", "week"]
    assert found.features == ("n_investments", "worth", "tenure", "active_days", "week")
    assert table.loc["e", ["n_investments", "active_days", "week", "tenure"]].tolist() == [1, 3, 2, 19]
    assert table.loc["a", ["n_investments", "active_days", "week", "worth"]].tolist() == [0, 2, 2, 0.0]
    for bad, message in (("week", "there is no 'week'"), ("risk", "there is no"), ("idle_days", "there is no")):
        with pytest.raises(InputError, match=message):
            alerts(by_hand(), log_of(), as_of=DAY, features=[bad])
    with pytest.raises(InputError, match="column 'risk' of its own"):
        alerts(by_hand(), log_of(), as_of=DAY, features=[Feature("risk", agg="count")])
    for bad in ("balance", [["a"]]):
        with pytest.raises(InputError, match="features is a list"):
            alerts(by_hand(), log_of(), as_of=DAY, features=bad)


def test_first_days_and_empty_days() -> None:
    log = log_of()
    whole = alerts(by_hand(), log, as_of=DAY, features=["balance"]).table
    for day in ("2024-01-01", "2024-01-12"):
        found = alerts(by_hand(), log, as_of=day, features=["balance"])
        assert len(found.table) == 0
        pd.testing.assert_series_equal(found.table.dtypes.astype(str), whole.dtypes.astype(str))
        assert "Nobody is in a tier" in str(found)
        assert "<p>" in found._repr_html_()
    third = alerts(by_hand(), log, as_of="2024-01-03")
    assert set(third.table["status"]) == {"new"}
    assert third.table["risk"].isna().all()
    assert any("no gap has been followed for 6 days" in note for note in third.notes)
    for day in ("2023-12-31", "2024-01-26"):
        with pytest.raises(InputError, match="outside the log"):
            alerts(by_hand(), log, as_of=day)


def one_user(*days: str) -> ch.ActivityLog:
    events = pd.DataFrame({"user_id": 1, "event_at": list(days), "kind": "login"})
    users = pd.DataFrame({"user_id": [1], "registered_at": days[0]})
    return ch.ActivityLog(events, users, rule=ChurnRule(8), observed_from="2025-03-01", observed_until="2025-03-27")


def test_no_risk_is_told_where_no_gap_is_there_to_tell_it() -> None:
    made = scheme({"high": rule("idle_days >= 1")}, churn_rule=ChurnRule(8), known_until=datetime.date(2025, 3, 1))
    found = alerts(made, one_user("2025-03-20", "2025-03-21"), as_of="2025-03-27")
    assert found.table["risk"].isna().tolist() == [True]
    assert any("no gap that began by 2025-03-19 has been followed for 8 days" in note for note in found.notes)
    # one mature gap, over on day 2, and a user who is silent for longer
    found = alerts(made, one_user("2025-03-18", "2025-03-20", "2025-03-21"), as_of="2025-03-27")
    assert found.table[["risk", "weighs", "weight"]].isna().all(axis=None)
    assert any("their risk is not known" in note for note in found.notes)
    assert not any("the risk is 0" in note for note in found.notes)


def test_rows_of_users_and_scores_to_come_are_no_mistake() -> None:
    worth = pd.DataFrame({"user_id": ["a", "h", "zz"], "margin": 1.0})
    found = alerts(by_hand(), log_of(), as_of="2024-01-19", margin=worth)  # h registers on the 20th
    assert "margin: 1 row of users that the log does not know." in found.notes
    made = scheme({"high": rule("score > 0.5")}, score=GivenScore(idle_days=6), churn_rule=ChurnRule(6), variables=())
    for user in ("a", "h"):
        scores = pd.DataFrame({"user_id": [user], "date": ["2024-01-20"], "score": [0.9]})
        found = alerts(made, log_of(), as_of="2024-01-19", score=scores)
        assert len(found.table) == 0
        assert any("without any score so far: in no tier" in note for note in found.notes)
    with pytest.raises(InputError, match="no row can be used"):
        alerts(made, log_of(), as_of="2024-01-19", score=scores.assign(user_id="zz"))


def test_what_cannot_be_applied() -> None:
    log = log_of()
    with pytest.raises(InputError, match="another churn rule"):
        alerts(scheme(RULES), log, as_of=DAY)
    own = scheme({"high": rule("balance < 5")}, churn_rule=ChurnRule(6))
    with pytest.raises(InputError, match="holds on the day of an activity"):
        alerts(own, log, as_of=DAY)
    other = scheme({"high": rule("idle_days > 2 and balanc < 5")}, churn_rule=ChurnRule(6))
    with pytest.raises(InputError, match="Did you mean 'balance'"):
        alerts(other, log, as_of=DAY)
    with pytest.raises(InputError, match="score= is for tiers"):
        alerts(by_hand(), log, as_of=DAY, score=pd.DataFrame())
    late = scheme(RULES, churn_rule=ChurnRule(6), known_until=datetime.date(2024, 7, 1))
    assert any("could not have been there" in note for note in alerts(late, log, as_of=DAY).notes)


def test_people_read_it() -> None:
    lives = tables()
    lives["users"].loc[0, "user_id"] = lives["events"].loc[0, "user_id"] = "<b>a\nx</b>"
    lives["balances"].loc[0, "user_id"] = "<b>a\nx</b>"
    found = alerts(by_hand(), log_of(lives), as_of=DAY, margin="worth")
    lines = str(found).splitlines()
    assert lines[0].startswith("Alerts at the end of 2024-01-20: 2 high, 3 low, of 10 living users; 1 new, 1 upgraded")
    assert lines[2].split() == [
        "tier",
        "user",
        "status",
        "idle",
        "left",
        "risk",
        "value",
        "at",
        "risk",
        "since",
        "because",
    ]
    assert sum("<b>a x</b>" in line for line in lines) == 1
    assert "... and 6 more" in found.to_text(2)
    page = found._repr_html_()
    assert "&lt;b&gt;a" in page
    assert "<b>" not in page
    assert repr(found).startswith("<Alerts: 2 high, 3 low at the end of 2024-01-20")
    assert "the tier becomes" not in found.explain("b")
    assert "The tier was low on the day before; the user is in a tier since 2024-01-18" in found.explain("b")
    assert "The alert is new." in found.explain("c")
    assert "the user was active on that day" in found.explain("e")
    assert "counts as churned" in found.explain("f")
    assert "no rule holds any more" in found.explain("g")
    with pytest.raises(InputError, match=r"no alert on 2024-01-20.*The nearest ids"):
        found.explain("k")
    with pytest.raises(InputError, match="limit"):
        found.to_text(0)
    told_json = found._to_plain()
    assert told_json["facts"]["counts"]["in_tier"] == 5
    assert list(told_json["table"])[: len(schema("alerts").names)] == list(schema("alerts").names)


# -------------------------------------------------------------------------------------------- against a walk day by day

WEEK = Feature("week", agg="days", kind=("login", "invest"), last=7)
MOVING = {
    "high": rule("idle_days > 9 and balance < 100", "idle_days > 3 and week >= 2 and tenure >= 40"),
    "middle": rule("idle_days > 6 and n_investments < 2"),
    "low": rule("idle_days > 2 and balance < 3000", "idle_days > 14 and balance >= 3000"),
}


@pytest.fixture(scope="module")
def app() -> Any:
    return ch.simulate_app(300, seed=5)


def moving(app: Any) -> pd.DataFrame:
    """Balances that go up and down in silence around the thresholds."""
    rng = np.random.default_rng(3)
    n = 20_000
    drawn = pd.DataFrame(
        {
            "user_id": rng.choice(app.users["user_id"].to_numpy()[:200], n),
            "date": pd.Timestamp("2024-08-01") + pd.to_timedelta(rng.integers(0, 330, n), unit="D"),
            "balance": rng.choice([90.0, 99.0, 100.0, 105.0, 109.0, 120.0, 2900.0, 3100.0], n),
        }
    ).drop_duplicates(["user_id", "date"])
    return drawn.sort_values(["user_id", "date"]).reset_index(drop=True)


@pytest.mark.parametrize("widths", [{}, {"balance": 0.1}])
def test_equals_a_walk_day_by_day(app: Any, widths: dict[str, float], monkeypatch: pytest.MonkeyPatch) -> None:
    balances = moving(app)
    first = "2024-01-01"  # some registered before it
    log = ch.ActivityLog(app.events, app.users, balances=balances, observed_from=first, observed_until="2025-06-29")
    made = scheme(MOVING, variables=("balance", "n_investments", "tenure", WEEK), missing={"balance": 0.0})
    world = World.of(app.events, app.users, balances, first)
    monkeypatch.setattr(alerts_replay, "_USERS", 7)  # in many turns
    # what moves in most gaps is slow to count, and the risk is tested below
    monkeypatch.setattr(MODULE, "chances_by_gaps", lambda *given, **_: unknown(given[2].size))
    seen: set[Any] = set()
    for day in ("2024-01-10", "2024-12-12", "2025-02-04"):
        found = alerts(made, log, as_of=day, hysteresis=widths or None)
        expected = expected_alerts(world, made, day, widths)
        assert told(found) == expected
        snapshot = log.snapshot(day, features=[])
        assert found.counts["living"] == len(snapshot.table)
        assert found.counts["silent"] == int((snapshot.table["idle_days"] > 0).sum())
        seen |= {(row[0], row[1], row[-1]) for row in expected.values()}
    statuses = {"new", "continued", "upgraded", "lowered", "resolved"}
    assert {each[0] for each in seen} == statuses
    assert {each[1] for each in seen} >= {"activity", "churn", *(() if widths else ("state",))}
    assert (True in {each[2] for each in seen}) == bool(widths)


def test_who_is_in_a_tier_is_who_is_assigned(app: Any) -> None:
    made = scheme(MOVING, variables=("balance", "n_investments", "tenure", WEEK), missing={"balance": 0.0})
    for day in ("2024-12-24", "2025-05-05"):
        found = alerts(made, app.log, as_of=day)
        assigned = made.assign(app.log.snapshot(day, features=made.features)).table
        expected = assigned.dropna(subset="tier").set_index("user_id")["tier"].astype(str).sort_index()
        mine = found.table.dropna(subset="tier").set_index("user_id")["tier"].astype(str).sort_index()
        pd.testing.assert_series_equal(mine, expected)


def test_a_cox_score(app: Any) -> None:
    worth = ch.Value(saved_value=60, contact_cost=4, saving=ch.Saving.plateau(top=0.3, middle=20, width=3))
    made = ch.fit_tiers(
        app.log, objective={"high": worth, "low": ch.Precision(target=0.3)}, family="score",
        formula="n_investments + channel", until="2024-12-31", bootstrap=0,
    )  # fmt: skip
    day = "2025-03-10"
    found = alerts(made, app.log, as_of=day, features=["channel"])
    table = found.table.set_index("user_id")
    there = table.dropna(subset="tier")
    assigned = made.assign(app.log.snapshot(day, features=made.features)).table.set_index("user_id")
    expected = assigned.dropna(subset="tier")
    pd.testing.assert_series_equal(
        there["tier"].astype(str).sort_index(), expected["tier"].astype(str).sort_index(), check_names=False
    )
    np.testing.assert_allclose(there["risk"], assigned.loc[there.index, "P(churn)"], rtol=1e-8)
    assert (there["risk_lower"] < there["risk"]).all()
    assert (there["risk"] < there["risk_upper"]).all()
    # the tier of each day of the silence is what assign says of that day
    some = there.index[there["since"] > pd.Timestamp(day) - pd.Timedelta(days=4)][:3]
    assert len(some)
    for user in some:
        row, tier = table.loc[user], table.loc[user, "tier"]
        for date in pd.date_range(row["tier_since"], day):
            one = app.log.snapshot(date.date(), features=made.features)
            assert made.assign(one).table.set_index("user_id").loc[user, "tier"] == tier
        before = app.log.snapshot((row["tier_since"] - pd.Timedelta(days=1)).date(), features=made.features)
        assert made.assign(before).table.set_index("user_id").loc[user, "tier"] is not tier
    # what weighs most is a term of the model
    state = assigned.loc[there.index].reset_index().merge(app.users[["user_id", "channel"]], on="user_id")
    added = made.score.contributions(
        state.drop(columns="channel_x", errors="ignore").rename(columns={"channel_y": "channel"})
    )
    np.testing.assert_allclose(there["weight"], np.maximum(-added.min(axis=1).to_numpy(), -np.inf), rtol=1e-8)
    assert there["weighs"].astype(str).tolist() == added.idxmin(axis=1).tolist()
    assert "The chance to churn" in found.explain(there.index[0])
    wider = alerts(made, app.log, as_of=day, hysteresis={"score": 0.3})
    assert wider.counts["in_tier"] >= found.counts["in_tier"]


@pytest.mark.parametrize(("seed", "widths"), [(0, {}), (1, {"score": 0.9})])
def test_a_given_score(seed: int, widths: dict[str, float]) -> None:
    log, scored = log_and_scores(seed)
    made = scheme(
        {"high": rule("score > 0.8"), "low": rule("score > 0.3")},
        score=GivenScore(idle_days=6), churn_rule=ChurnRule(6), variables=(),
    )  # fmt: skip
    events = log._reading.data["events"]
    world = World.of(events, log._reading.data["users"], None, "2024-01-01", scored)
    held = 0
    for day in pd.date_range("2024-01-20", "2024-03-15", freq="10D"):
        table = scored.sample(frac=1, random_state=1)
        found = alerts(made, log, as_of=day.date(), score=table, hysteresis=widths or None)
        assert told(found) == expected_alerts(world, made, str(day.date()), widths)
        assert found.table["risk"].isna().all()
        assert "A score that is given is no chance: the risk is not told." in found.notes
        for tier, rows in found.table.dropna(subset="tier").groupby("tier", observed=True):
            assert rows["score"].is_monotonic_decreasing, tier
        held += found.counts["held"]
    assert (held > 0) == bool(widths)
    with pytest.raises(InputError, match="pass it as score="):
        alerts(made, log, as_of="2024-03-01")


# -------------------------------------------------------------------------------------------------- what may not matter


def plain(found: Any) -> str:
    return str(found.to_json())


@pytest.fixture(scope="module")
def fitted(app: Any) -> TierScheme:
    return ch.fit_tiers(
        app.log, objective={"high": ch.Precision(target=0.6), "low": ch.Precision(target=0.3)}, bootstrap=0,
        variables=["balance", "n_investments"], missing={"balance": 0}, until="2024-12-31",
    )  # fmt: skip


def raw(app: Any) -> dict[str, pd.DataFrame]:
    return {"events": app.events, "users": app.users, "balances": app.balances}


def opened(given: Mapping[str, pd.DataFrame], until: str = "2025-06-29", **settings: Any) -> ch.ActivityLog:
    return ch.ActivityLog(**given, observed_from="2022-07-01", observed_until=until, **settings)


def test_later_days_the_order_of_rows_and_of_runs_change_nothing(app: Any, fitted: TierScheme) -> None:
    day, settings = "2025-02-10", {"margin": "total_amount", "hysteresis": {"balance": 0.1}, "features": ["stage"]}
    given = raw(app)
    log = opened(given)
    expected = plain(alerts(fitted, log, as_of=day, **settings))
    # backfills: other days first, on the same log
    alerts(fitted, log, as_of="2025-03-01", **settings)
    assert plain(alerts(fitted, log, as_of=day, **settings)) == expected
    end = pd.Timestamp("2025-02-11")
    cut = {
        "events": given["events"][given["events"]["event_at"] < end],
        "users": given["users"][given["users"]["registered_at"] < end],
        "balances": given["balances"][given["balances"]["date"] < end],
    }
    assert plain(alerts(fitted, opened(cut, until=day), as_of=day, **settings)) == expected
    mixed = {name: table.sample(frac=1, random_state=2) for name, table in given.items()}
    assert plain(alerts(fitted, opened(mixed), as_of=day, **settings)) == expected


def test_ids_of_text_and_numbers(app: Any, fitted: TierScheme) -> None:
    given = {name: table.assign(user_id=table["user_id"].map("u{:05d}".format)) for name, table in raw(app).items()}
    worth = pd.DataFrame({"user_id": app.users["user_id"], "margin": 10.0})
    day = "2025-02-10"
    found = alerts(fitted, app.log, as_of=day, margin=worth).table
    named = alerts(
        fitted, opened(given), as_of=day, margin=worth.assign(user_id=worth["user_id"].map("u{:05d}".format))
    )
    assert found["user_id"].dtype == np.int64
    assert named.table["user_id"].tolist() == found["user_id"].map("u{:05d}".format).tolist()
    columns = [each for each in found if each != "user_id" and "risk" not in each and not each.startswith("value")]
    pd.testing.assert_frame_equal(named.table[columns], found[columns])
    np.testing.assert_allclose(named.table["risk"], found["risk"])


def test_order_and_digits(app: Any, fitted: TierScheme) -> None:
    table = alerts(fitted, app.log, as_of="2025-02-10", margin="total_amount").table
    order = table["tier"].cat.codes.to_numpy()
    assert (np.diff(order) <= 0).all()
    for _, rows in table.dropna(subset="tier").groupby("tier", observed=True):
        keys = list(zip(-rows["urgency"], -rows["risk"], rows["user_id"], strict=True))
        assert keys == sorted(keys)
        np.testing.assert_allclose(rows["urgency"], rows["value_at_risk"] * rows["days_left"] / 30, rtol=1e-8)
    for name in ("risk", "risk_lower", "risk_upper", "weight", "value_at_risk", "value_lower", "urgency"):
        values = table[name].dropna()
        assert values.tolist() == [float(f"{value:.9g}") for value in values]


@on_spark
def test_spark_gives_the_same(spark: Any) -> None:  # noqa: F811
    given = tables() | {"users": tables()["users"].drop(columns="worth")}
    worth = pd.DataFrame({"user_id": ["a", "b"], "margin": [1.0, 2.0]})
    settings: dict[str, Any] = {"as_of": DAY, "hysteresis": {"balance": 0.1}, "margin": worth, "features": ["tenure"]}
    expected = alerts(by_hand(), log_of(given), **settings)
    with ch.connect(spark=spark) as engine:
        found = alerts(by_hand(), log_of(given, engine=engine), **settings)
        assert plain(found) == plain(expected)
        log, scored = log_and_scores(0, n_users=12)
        made = scheme(
            {"high": rule("score > 0.8"), "low": rule("score > 0.3")},
            score=GivenScore(idle_days=6), churn_rule=ChurnRule(6), variables=(),
        )  # fmt: skip
        data = log._reading.data
        other = ch.ActivityLog(
            data["events"], data["users"], rule=ChurnRule(6), observed_from="2024-01-01", observed_until="2024-03-15",
            engine=engine,
        )  # fmt: skip
        day = {"as_of": "2024-02-10", "score": scored}
        assert plain(alerts(made, other, **day)) == plain(alerts(made, log, **day))


# ------------------------------------------------------------------------------------------------------------- the risk


def test_the_risk_of_idle_days_alone_is_the_idle_risk(app: Any) -> None:
    # users registered before the log have no gap at registration, which idle_risk tells apart
    first = "2024-03-01"
    old = app.users[app.users["registered_at"] < first]
    events = app.events[app.events["user_id"].isin(old["user_id"])]
    log = ch.ActivityLog(events, old, observed_from=first, observed_until="2025-06-29")
    made = scheme({"high": rule("idle_days > 12"), "low": rule("idle_days > 0")}, variables=())
    day, level = "2025-05-10", 0.9
    found = alerts(made, log, as_of=day, level=level)
    expected = ch.idle_risk(log.as_of(day), level=level).table.set_index("idle_days")
    rows = found.table.dropna(subset="tier")
    assert len(rows) > 8
    for mine, theirs in (("risk", "churn"), ("risk_lower", "lower"), ("risk_upper", "upper")):
        np.testing.assert_allclose(rows[mine], expected.loc[rows["idle_days"], theirs], rtol=1e-8)
    assert set(rows["weighs"]) == {"idle_days"}


def test_the_risk_of_cells_is_counted_again(app: Any, fitted: TierScheme) -> None:
    day = "2025-02-10"
    found = alerts(fitted, app.log, as_of=day, features=["balance", "n_investments"])
    table = app.log.as_of(day).gaps(features=["balance", "n_investments"]).table
    table = table[table["start_date"] <= pd.Timestamp(day) - pd.Timedelta(days=30)]
    churned = ~table["returned"] | (table["duration"] > 30)
    rules = [c for tier in fitted.tiers for a in tier.rule.alternatives for c in a if c.variable != "idle_days"]

    def cell(row: Any) -> tuple[Any, ...]:
        return tuple((pd.isna(row[c.variable]), bool(c.holds(np.array([row[c.variable]]))[0])) for c in rules)

    mine = pd.Series([cell(row) for _, row in table.iterrows()], index=table.index)
    moves = app.log.as_of(day)._reading.sources.get("balances") is not None
    checked = 0
    for _, row in found.table.dropna(subset="tier").head(12).iterrows():
        silent = table["duration"] > row["idle_days"]
        whole = churned[silent].mean()
        there = silent & (mine == cell(row))
        share = (churned[there].sum() + 10 * whole) / (there.sum() + 10)
        # a few gaps move from cell to cell in silence, which the gaps of a table do not tell
        assert row["risk"] == pytest.approx(share, abs=0.02 if moves else 1e-8)
        checked += 1
    assert checked == 12


def test_many_users_are_drawn_by_their_ids(app: Any, fitted: TierScheme, monkeypatch: pytest.MonkeyPatch) -> None:
    day = "2025-02-10"
    whole = alerts(fitted, app.log, as_of=day)
    monkeypatch.setattr(alerts_risk, "_USERS", 150)
    few = alerts(fitted, app.log, as_of=day)
    assert any("drawn by their ids from" in note for note in few.notes)
    assert told(few) == told(whole)
    given = {name: table.sample(frac=1, random_state=4) for name, table in raw(app).items()}
    assert plain(alerts(fitted, opened(given), as_of=day)) == plain(few)
    both = whole.table.merge(few.table, on="user_id")
    assert 0 < (both["risk_x"] - both["risk_y"]).abs().max() < 0.2
    # nothing is left behind in the engine
    made = app.log.engine.rows("SELECT count(*) FROM duckdb_tables() WHERE table_name LIKE '%alert%'")[0][0]
    assert made == 0


def test_what_weighs_most_in_rules(app: Any, fitted: TierScheme) -> None:
    found = alerts(fitted, app.log, as_of="2025-02-10")
    rows = found.table.dropna(subset="tier")
    assert set(rows["weighs"]) <= {"idle_days", "balance", "n_investments"}
    assert (rows["weight"] > 0).all()
    assert rows["weight"].notna().all()
    assert found.table.loc[found.table["tier"].isna(), "weighs"].isna().all()
