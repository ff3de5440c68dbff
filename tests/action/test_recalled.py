"""Users who came back: returns, money and churn by hand, curves and ratio of the estimators, odd ones found."""

from __future__ import annotations

from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import churnsurv as ch
from churnsurv.action.recalled_anomalies import ODD
from churnsurv.errors import InputError, SchemaError
from tests.action.planned import FakePlan, contacts, enrolled

END = "2024-08-31"
SENT = "2024-04-01"


@cache  # a log is frozen, and has read its tables once
def log_of(*rows: tuple[Any, ...], n: int = 6, until: str = END, text: bool = False) -> ch.ActivityLog:
    """Users 1 ... n, registered on 2024-01-01 with a login on 2024-02-01, and these (user, kind, amount, day)."""
    ids = list(range(1, n + 1))
    every = [(user, "login", None, "2024-02-01") for user in ids]
    events = pd.DataFrame([*every, *rows], columns=["user_id", "kind", "amount", "event_at"])
    events = events.astype({"amount": float})
    users = pd.DataFrame({"user_id": ids, "registered_at": "2024-01-01"})
    if text:
        events, users = (t.assign(user_id="u" + t["user_id"].astype(str)) for t in (events, users))
    return ch.ActivityLog(events, users, observed_from="2024-01-01", observed_until=until)


def sent(*users: Any, campaign: str = "spring", arm: str = "sms", at: str = SENT) -> pd.DataFrame:
    return pd.DataFrame({"user_id": list(users), "campaign": campaign, "arm": arm, "assigned_at": at})


PATH = (
    (1, "login", None, "2024-04-01"), (1, "invest", 200.0, "2024-04-11"), (1, "redeem", 50.0, "2024-04-20"),
    (2, "invest", 300.0, "2024-05-01"), (2, "invest", 80.0, "2024-08-20"),
    (3, "login", None, "2024-07-10"),
    (5, "redeem", 10.0, "2024-04-02"),
)  # fmt: skip


def test_returns_worked_by_hand() -> None:
    found = ch.monitor_recalled(log_of(*PATH), sent(1, 2, 3, 4), horizon=90)
    table = found.table.set_index("user_id")
    assert list(found.table.columns) == list(ch.schema("recalled").names)
    assert table.index.tolist() == [1, 2]  # 3 came back after day 90, 2024-06-29
    assert table["days_to_return"].tolist() == [1, 31]
    assert table["invested"].tolist() == [200.0, 300.0]  # 2's other investment comes after another churn
    assert table["redeemed"].tolist() == [50.0, 0.0]
    assert table["days_to_reinvest"].tolist() == [10.0, 0.0]
    assert table["churned_on"].dt.strftime("%m-%d").tolist() == ["05-11", "05-31"]
    assert table["days_live"].tolist() == [40, 30]
    assert table["anomalies"].tolist() == [None, None]
    counts = found.counts
    assert (counts["assigned"], counts["returned"], counts["not_returned"], counts["waiting"]) == (4, 2, 2, 0)
    assert "2 of 4 assignments returned" in repr(found)
    assert any("not comparable" in note for note in found.notes)
    assert found.rechurned is not None
    assert found.rechurned.at([29, 30, 40])["survival"].tolist() == [1.0, 0.5, 0.0]
    assert found.reinvested is not None
    assert found.reinvested.at([0, 9, 10])["survival"].tolist() == [0.5, 0.5, 0.0]


def test_what_is_not_over_yet_is_censored_and_waits() -> None:
    found = ch.monitor_recalled(log_of(*PATH).as_of("2024-04-15"), sent(1, 2, 3, 4))
    assert found.table["user_id"].tolist() == [1]
    assert found.table["churned_on"].isna().all()
    assert found.table["days_live"].tolist() == [14]
    assert (found.counts["waiting"], found.counts["not_returned"]) == (3, 0)


def test_nothing_after_the_day_changes_the_answer() -> None:
    day = "2024-05-20"
    paid = pd.DataFrame({"user_id": [1, 2], "campaign": "spring", "amount": [5.0, 6.0],
                         "released_at": ["2024-04-11", "2024-06-02"]})  # fmt: skip
    early = log_of(*(row for row in PATH if row[3] <= day), until=day)
    both = pd.concat([sent(1, 2, 3), sent(4, 5, campaign="summer", at="2024-06-01")])
    one = ch.monitor_recalled(log_of(*PATH).as_of(day), both, rewards=paid)
    other = ch.monitor_recalled(early, sent(1, 2, 3), rewards=paid.iloc[:1])
    columns = [name for name in one.table if name != "reward"]  # a promise may be older than its release
    pd.testing.assert_frame_equal(one.table[columns], other.table[columns])
    pd.testing.assert_frame_equal(one.anomalies, other.anomalies)
    assert one.table["released_on"].notna().tolist() == [True, False]
    assert one.counts["assigned"] == 3


def test_several_campaigns_and_arms_and_text_ids() -> None:
    more = sent(1, 2, campaign="april", arm="none", at="2024-04-10")
    found = ch.monitor_recalled(log_of(*PATH), pd.concat([sent(1, 2), more]))
    assert found.table[["campaign", "user_id"]].to_numpy().tolist() == [
        ["april", 1], ["april", 2], ["spring", 1], ["spring", 2],
    ]  # fmt: skip
    assert found.table["days_to_return"].tolist() == [2, 22, 1, 31]
    assert found.counts["users_in_several"] == 2
    assert any("several campaigns" in note for note in found.notes)
    assert found.rechurned is not None
    assert found.rechurned.groups == ("april | none", "spring | sms")
    text = ch.monitor_recalled(log_of(*PATH, text=True), sent("u1", "u2", "u3"))
    assert text.table["user_id"].tolist() == ["u1", "u2"]


def test_times_of_day_count_where_there_are_some() -> None:
    rows = ((1, "login", None, "2024-04-01 08:00"), (2, "login", None, "2024-04-01 10:00"))
    found = ch.monitor_recalled(log_of(*rows), sent(1, 2, at="2024-04-01 09:00"))
    assert found.table["user_id"].tolist() == [2]


class FakeLedger:
    """What a ledger offers."""

    def __init__(self, table: pd.DataFrame, paid: pd.DataFrame) -> None:
        self.table, self.paid = table, paid

    def assignments(self) -> pd.DataFrame:
        return self.table

    def contacts(self) -> pd.DataFrame:
        return self.table

    def rewards(self, log: ch.ActivityLog) -> pd.DataFrame:
        return self.paid[pd.to_datetime(self.paid["released_at"]) <= pd.Timestamp(log.observed_until)]


def test_a_ledger_brings_its_own_rewards() -> None:
    paid = pd.DataFrame({"user_id": [1], "campaign": "spring", "amount": [20.0], "promised_until": ["2024-04-30"],
                         "released_at": ["2024-04-11"]})  # fmt: skip
    found = ch.monitor_recalled(log_of(*PATH), FakeLedger(sent(1, 2), paid))
    assert found.table["reward"].tolist()[0] == 20.0
    assert np.isnan(found.table["reward"].tolist()[1])
    assert found.table["released_on"].tolist()[0] == pd.Timestamp("2024-04-11")
    empty = ch.monitor_recalled(log_of(*PATH), FakeLedger(sent(), paid))
    assert len(empty.table) == len(empty.anomalies) == 0
    assert empty.reinvested is None


def test_a_real_ledger_with_a_promise_that_was_kept(tmp_path: Path) -> None:
    ledger, day = ch.Ledger(tmp_path / "contacts.duckdb"), date(2024, 3, 31)
    promise = {"reward": 20.0, "reward_condition": 200.0, "promised_until": "2024-04-30"}
    sent_out = contacts(day, *({"user_id": user, "step": 1, **promise} for user in (1, 2)))
    drawn = enrolled(day, *({"user_id": user} for user in (1, 2)), {"user_id": 3, "arm": "holdout"})
    ledger.record(FakePlan(day, sent_out, drawn, ledger.before(day).state))
    found = ch.monitor_recalled(log_of(*PATH), ledger)
    table = found.table.set_index("user_id")
    assert table.index.tolist() == [1, 2]
    assert table["days_to_return"].tolist() == [1, 31]  # assigned on the day of contact, 2024-04-01
    assert table["reward"].tolist() == [20.0, 20.0]
    assert table["released_on"].tolist() == [pd.Timestamp("2024-04-11"), pd.NaT]  # 2 invested a day too late
    assert ch.monitor_recalled(log_of(*PATH).as_of("2024-03-31"), ledger).counts["assigned"] == 0


def test_nobody_returned_and_nobody_assigned() -> None:
    for table in (sent(4), sent(), sent(4, at="2025-01-01")):
        found = ch.monitor_recalled(log_of(*PATH), table)
        assert list(found.table.columns) == list(ch.schema("recalled").names)
        assert found.table.dtypes["returned_on"] == "datetime64[s]"
        assert list(found.anomalies.columns) == list(ch.schema("recalled_anomalies").names)
        assert found.rechurned is None
        assert (found.watch["n_judged"] == 0).all()
        with pytest.raises(InputError, match="nothing to draw"):
            found.plot(kind="rechurned")
        assert found.to_json()


def test_one_user_and_a_log_without_amounts() -> None:
    events = pd.DataFrame({"user_id": ["a", "a"], "event_at": ["2024-01-05", "2024-04-02"]})
    users = pd.DataFrame({"user_id": ["a"], "registered_at": ["2024-01-01"]})
    log = ch.ActivityLog(events, users, rule=ch.ChurnRule(activity=None), observed_until="2024-04-20")
    found = ch.monitor_recalled(log, sent("a"))
    assert found.table["invested"].isna().all()
    assert found.table["days_to_return"].tolist() == [2]
    assert any("no amounts" in note for note in found.notes)
    assert found.curves is not None
    assert found.curves.groups == ("first spell", "begun by a return")


# --------------------------------------------------------------------------------------------------- what is odd


PAST = tuple((user, "invest", amount, f"2024-02-{day:02d}") for user in (1, 2, 3, 4)
             for day, amount in enumerate((100.0, 110, 90, 105, 95, 100), 1))  # fmt: skip


def odd(found: Any) -> list[tuple[Any, str]]:
    return list(found.anomalies[["user_id", "reason"]].itertuples(index=False, name=None))


def test_amounts_far_from_the_own_past() -> None:
    rows = (
        (1, "invest", 90_000.0, "2024-04-03"), (2, "invest", 105.0, "2024-04-03"), (3, "invest", 0.01, "2024-04-04"),
        (4, "invest", 100.0, "2024-04-03"), (5, "invest", 90_000.0, "2024-04-03"),
    )  # fmt: skip
    found = ch.monitor_recalled(log_of(*PAST, *rows), sent(1, 2, 3, 4, 5))
    assert odd(found) == [(1, "amount_far"), (3, "amount_far")]  # 5 has no past to be judged by
    first = found.anomalies.iloc[0]
    assert (first["value"], first["expected"]) == (90_000.0, pytest.approx(100.0))
    assert first["p_value"] < ODD
    assert "900 times" in first["words"]
    watch = found.watch.set_index("reason").loc["amount_far"]
    assert (watch["n_judged"], watch["n_listed"]) == (4, 2)
    assert watch["expected_false"] == pytest.approx(4 * ODD)
    assert found.table["anomalies"].tolist()[0] == "amount_far"


def rewards(*rows: tuple[Any, ...]) -> pd.DataFrame:
    names = ["user_id", "campaign", "amount", "promised_until", "released_at"]
    return pd.DataFrame(rows, columns=names)


def test_rewards_taken_and_withdrawn_late_or_again() -> None:
    rows = (
        (1, "invest", 10_000.0, "2024-04-05"), (1, "redeem", 9_000.0, "2024-04-10"),  # taken and gone
        (2, "invest", 10_000.0, "2024-04-05"), (2, "redeem", 9_000.0, "2024-04-14"),  # two days later
        (3, "invest", 10_000.0, "2024-04-05"), (3, "redeem", 4_999.0, "2024-04-10"),  # less than half
        (4, "invest", 10_000.0, "2024-05-20"),  # late
        (5, "invest", 10_000.0, "2024-04-05"),  # never released
    )  # fmt: skip
    both = pd.concat([sent(1, 2, 3, 4, 5), sent(3, campaign="again", at="2024-04-02")])
    paid = rewards(
        *((user, "spring", 1_000.0, "2024-04-30", "2024-04-05") for user in (1, 2, 3)),
        (4, "spring", 1_000.0, "2024-04-30", "2024-05-20"), (5, "spring", 1_000.0, "2024-04-30", None),
        (3, "again", 10.0, None, "2024-04-06"),
    )  # fmt: skip
    found = ch.monitor_recalled(log_of(*rows), both, rewards=paid)
    assert odd(found) == [(3, "rewards_again"), (1, "reward_withdrawn"), (4, "reward_late")]
    by = found.anomalies.set_index("reason")
    assert by.loc["reward_withdrawn", "value"] == 9_000.0
    assert by.loc["reward_withdrawn", "expected"] == 5_000.0
    assert by.loc["reward_withdrawn", "date"] == pd.Timestamp("2024-04-10")
    assert by.loc["reward_late", "value"] == 20
    assert found.table.set_index(["campaign", "user_id"]).loc[("spring", 5), "reward"] == 1_000
    watch = found.watch.set_index("reason")
    assert watch["n_judged"].to_dict() == {
        "reward_withdrawn": 5, "reward_late": 4, "rewards_again": 5, "amount_far": 0, "many_in_a_day": 6,
    }  # fmt: skip
    longer = ch.monitor_recalled(log_of(*rows), both, rewards=paid, withdrawn_within=9)
    assert (2, "reward_withdrawn") in odd(longer)
    none = ch.monitor_recalled(log_of(*rows), both)
    assert odd(none) == []
    assert any("No rewards were given" in note for note in none.notes)


def test_many_investments_on_one_day() -> None:
    rows = [(user, "invest", 1.0, "2024-04-05") for user, k in ((1, 5), (2, 4), (3, 7)) for _ in range(k)]
    before = [(3, "invest", 1.0, "2024-02-05")] * 3
    found = ch.monitor_recalled(log_of(*rows, *before), sent(1, 2, 3))
    assert odd(found) == [(1, "many_in_a_day")]  # 4 are not many, and 3 had three on one day before
    assert found.anomalies["value"].tolist() == [5.0]


# --------------------------------------------------------------------------------------------------- the simulated app


@pytest.fixture(scope="module")
def simulated() -> tuple[Any, Any]:
    app = ch.simulate_app(1_000, seed=4)
    first = ch.monitor_recalled(app.log, app.campaigns).table
    again = first[first["reinvested_on"].notna()]
    paid = again[["user_id", "campaign"]].assign(amount=10.0, promised_until=None, released_at=again["reinvested_on"])
    return app, ch.monitor_recalled(app.log, app.campaigns, rewards=paid)


def test_false_alarms_are_as_many_as_stated(simulated: tuple[Any, Any]) -> None:
    """Nobody is odd in the simulated app; a made-up reward for each first investment changes nothing that users do."""
    watch = simulated[1].watch.set_index("reason")
    far, soon = watch.loc["amount_far"], watch.loc["reward_withdrawn"]
    assert far["n_judged"] > 50
    assert far["n_listed"] <= far["expected_false"] + 3 * np.sqrt(far["expected_false"])
    assert soon["n_judged"] > 100
    assert abs(soon["n_listed"] - soon["expected_false"]) < 3.5 * np.sqrt(soon["expected_false"])
    assert watch.loc["many_in_a_day", "n_listed"] == 0
    assert watch.loc["reward_late", "n_judged"] == 0  # promises without an end


def test_curves_and_ratio_are_those_of_the_estimators(simulated: tuple[Any, Any]) -> None:
    app, found = simulated
    spells = app.log.churn_spells(spells="all").table
    later = spells["spell"] > 1
    curves = ch.kaplan_meier(spells.assign(kind=later), by="kind", entry="entry", cluster="user_id")
    for name in ("survival", "lower", "upper"):
        assert found.curves.table[name].to_numpy() == pytest.approx(curves.table[name].to_numpy(), nan_ok=True)
    fit = ch.cox(
        "later", spells.assign(later=later.astype(float)), entry="entry", cluster="user_id", ties="grouped"
    ).table.iloc[0]
    ratio = found.cox.table.iloc[0]
    assert ratio["term"] == "spell: begun by a return"
    for name in ("estimate", "std_error", "p_value"):
        assert ratio[name] == pytest.approx(fit[name], rel=1e-9)
    assert found.counts["first_spells"] + found.counts["later_spells"] == len(spells)


def test_returns_are_those_of_the_campaign_rows(simulated: tuple[Any, Any]) -> None:
    from churnsurv.data.assigned import campaign_rows

    app, found = simulated
    rows = campaign_rows(app.log, app.campaigns, horizon=90)
    assert found.counts["assigned"] == rows.n
    assert found.counts["returned"] + found.counts["not_returned"] + found.counts["waiting"] == rows.n
    assert found.table["days_to_return"].tolist() == rows.time[rows.returned].tolist()
    assert found.table["user_id"].tolist() == rows.user_id[rows.returned].tolist()


def test_churn_after_the_return_is_that_of_the_spells(simulated: tuple[Any, Any]) -> None:
    app, found = simulated
    spells = app.log.churn_spells(spells="all").table
    both = found.table.merge(spells[["user_id", "origin", "end_date", "churned"]], on="user_id")
    mine = both[(both["origin"] <= both["returned_on"]) & (both["returned_on"] <= both["end_date"])]
    assert len(mine) == len(found.table)  # each return lies in one spell
    assert (mine["churned_on"].isna() == ~mine["churned"]).all()
    assert (mine["end_date"] == mine["churned_on"])[mine["churned"]].all()


# --------------------------------------------------------------------------------------------------- bad input


def test_bad_input() -> None:
    log = log_of(*PATH)
    with pytest.raises(InputError, match="no table was given"):
        ch.monitor_recalled(log, None)
    with pytest.raises(SchemaError, match="'campaign' is missing"):
        ch.monitor_recalled(log, sent(1).drop(columns="campaign"))
    with pytest.raises(SchemaError, match="'arm' is missing"):
        ch.monitor_recalled(log, sent().drop(columns="arm"))
    with pytest.raises(InputError, match="two arms"):
        ch.monitor_recalled(log, pd.concat([sent(1), sent(1, arm="none")]))
    with pytest.raises(InputError, match="every row of it is left out"):
        ch.monitor_recalled(log, sent(77))
    with pytest.raises(InputError, match="'amount' is negative"):
        ch.monitor_recalled(log, sent(1), rewards=rewards((1, "spring", -5.0, None, None)))
    with pytest.raises(InputError, match="horizon must be"):
        ch.monitor_recalled(log, sent(1), horizon=0)
    with pytest.raises(InputError, match="withdrawn_within must be"):
        ch.monitor_recalled(log, sent(1), withdrawn_within=-1)
    with pytest.raises(InputError, match="level must lie"):
        ch.monitor_recalled(log, sent(1), level=2)
    found = ch.monitor_recalled(log, sent(1, 77), rewards=rewards((9, "spring", 5.0, None, None)))
    assert found.counts["unknown_user"] == 1
    assert any("no_assignment 1" in note for note in found.notes)
    with pytest.raises(InputError, match="Did you mean 'spells'"):
        found.plot(kind="spell")
