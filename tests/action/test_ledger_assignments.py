"""What campaigns are judged by, out of the ledger: assignments, released rewards, deliveries."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import churnsurv as ch
from churnsurv.action.ledger import Delivered, Ledger
from churnsurv.errors import InputError, SchemaError
from churnsurv.tables import schema
from tests.action.planned import ARM, FIRST, FakePlan, contacts, enrolled, plan, run_days
from tests.data.spark import on_spark
from tests.data.spark import spark as session  # noqa: F401

DAY = timedelta(days=1)
LAST = FIRST + timedelta(days=60)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "contacts.duckdb")


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    """Six days of a campaign; nothing is written to it."""
    made = Ledger(tmp_path_factory.mktemp("campaign") / "contacts.duckdb")
    run_days(made, 6)
    return made


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger with its first day, to be copied."""
    made = Ledger(tmp_path_factory.mktemp("begun") / "contacts.duckdb")
    made.record(plan(made.before(FIRST), range(1, 9)))
    return made.path


@pytest.fixture
def first(begun: Path, ledger: Ledger) -> Ledger:
    """The first day is recorded: users 1 ... 8, of whom 4 and 8 are held out."""
    shutil.copy(begun, ledger.path)
    return ledger


def test_assignments_are_one_row_a_user_with_the_days_of_contacts(campaign: Ledger) -> None:
    found = campaign.assignments("spring").set_index("user_id")
    sent = campaign.contacts
    assert sorted(found.index) == list(range(1, 41))
    assert found["arm"].value_counts().to_dict() == {ARM: 30, "holdout": 10}
    per_user = sent.groupby("user_id").size().reindex(found.index, fill_value=0)
    assert found["cost"].tolist() == [n * 5 / 100 for n in per_user]
    second = sent[sent["step"] == 2].set_index("user_id")["contact_on"].reindex(found.index)
    assert found["second_contact_at"].tolist() == second.tolist()
    first = sent[sent["step"] == 1].set_index("user_id")["contact_on"]
    assert found.loc[first.index, "assigned_at"].tolist() == first.tolist()
    with pytest.raises(InputError, match=r"no campaign 'sprin'. Did you mean 'spring'\?"):
        campaign.assignments("sprin")


def small_log(
    *, invested: list[tuple[int, str, float]] | None = None, n: int = 40, engine: Any = None
) -> ch.ActivityLog:
    """Users who come back some days after the campaign began, those contacted sooner."""
    rows = [(user, "2025-02-01", "login", 0.0) for user in range(1, n + 1)]
    rows += [
        (u, str(FIRST + timedelta(days=7 + u % (9 if u % 4 else 25))), "login", 0.0) for u in range(1, n + 1) if u % 3
    ]
    rows += [(user, day, "invest", amount) for user, day, amount in invested or [(1, "2025-02-02", 10.0)]]
    events = pd.DataFrame(rows, columns=["user_id", "event_at", "kind", "amount"])
    users = pd.DataFrame({"user_id": range(1, n + 1), "registered_at": "2025-01-01"})
    return ch.ActivityLog(events, users, observed_until=str(LAST), engine=engine)


def test_campaign_lift_takes_assignments_and_rewards(campaign: Ledger) -> None:
    lift = ch.campaign_lift(
        campaign.assignments("spring"), small_log(), horizon=30, rewards=None, covariates=(), by=None
    )
    table = lift.table.set_index("outcome")
    cost = campaign.assignments().groupby("arm", observed=True)["cost"].mean()
    returned = {"contact": 20 / 30, "holdout": 7 / 10}  # users 3, 6, ... never come; of the tens 12, 24, 36
    assert table.loc["return_probability", "arm_value"] == pytest.approx(1000 * returned["contact"])
    assert table.loc["return_probability", "control_value"] == pytest.approx(1000 * returned["holdout"])
    net = table.loc["net_value", "arm_value"] - table.loc["reinvested", "arm_value"]
    assert net == pytest.approx(-1000 * cost["contact"])


def test_escalation_effect_takes_assignments(tmp_path: Path) -> None:
    """Every other user who is silent on day 5 gets a second contact then."""
    ledger, users = Ledger(tmp_path / "l.duckdb"), list(range(1, 201))
    drawn = enrolled(FIRST, *({"user_id": user} for user in users), {"user_id": 1000, "arm": "holdout", "share": 0.25})
    first = contacts(FIRST, *({"user_id": user, "step": 1} for user in users))
    ledger.record(FakePlan(FIRST, first, drawn, ledger.state))
    day = FIRST + 4 * DAY  # contacts go out on day 5
    again = contacts(day, *({"user_id": user, "step": 2, "place": 2} for user in users if user % 2))
    ledger.record(FakePlan(day, again, enrolled(day), ledger.state))
    events = pd.DataFrame({"user_id": users, "event_at": "2025-03-01", "kind": "login"})
    back = [user for user in users if user % 20 < (10 if user % 2 else 4)]
    more = pd.DataFrame({"user_id": back, "event_at": str(FIRST + 12 * DAY), "kind": "login"})
    base = pd.DataFrame({"user_id": [*users, 1000], "registered_at": "2025-01-01"})
    log = ch.ActivityLog(pd.concat([events, more]), base, observed_until=str(LAST))
    assignments = ledger.assignments()
    assert assignments["second_contact_at"].notna().sum() == 100
    effect = ch.escalation_effect(assignments, log, day=5, horizon=30, covariates=(), bootstrap=50)
    assert effect.difference == pytest.approx(0.5 - 0.2, abs=1e-9)


def test_rewards_are_released_once_enough_was_invested_in_time(tmp_path: Path) -> None:
    """By hand: promised on 1 April for contacts that go out on the 2nd, to be met by the 11th."""
    ledger = Ledger(tmp_path / "l.duckdb")
    promise = {"step": 1, "reward": 50.0, "reward_condition": 1000.0, "promised_until": "2025-04-11"}
    changed: dict[int, dict[str, Any]] = {
        1: {}, 2: {}, 3: {}, 5: {}, 6: {"promised_until": None}, 7: {"reward_condition": None},
        9: {"reward": None}, 10: {"reward_condition": 0.3},
    }  # fmt: skip
    drawn = enrolled(FIRST, *({"user_id": user} for user in changed), {"user_id": 4, "arm": "holdout", "share": 0.25})
    sent = contacts(FIRST, *({"user_id": user, **promise, **other} for user, other in changed.items()))
    ledger.record(FakePlan(FIRST, sent, drawn, ledger.state))
    second = FIRST + 3 * DAY
    again = contacts(second, {"user_id": 1, **promise, "step": 2, "reward": 7.0, "promised_until": "2025-04-20"})
    ledger.record(FakePlan(second, again, enrolled(second), ledger.state))
    log = small_log(
        invested=[
            (1, "2025-04-02", 400.0), (1, "2025-04-05", 600.0), (1, "2025-04-06", 5.0),  # on the second day: 1,000
            (2, "2025-04-01", 5000.0), (2, "2025-04-11", 999.99), (2, "2025-04-12", 5000.0),  # before, too little, late
            (3, "2025-04-11", 1000.0),  # on the last day
            (6, "2025-05-20", 1000.0),  # promised for ever
            (9, "2025-04-03", 9000.0),  # nothing promised
            (10, "2025-04-03", 0.1), (10, "2025-04-03", 0.1), (10, "2025-04-04", 0.1),  # sums are exact
        ]
    )  # fmt: skip
    found = ledger.rewards(log)
    assert tuple(found.columns) == schema("ledger_rewards").names
    told = list(zip(found["user_id"], found["amount"], found["released_at"].astype(str).str[:10], strict=True))
    assert told == [
        (1, 50.0, "2025-04-05"), (1, 7.0, "NaT"), (2, 50.0, "NaT"), (3, 50.0, "2025-04-11"), (5, 50.0, "NaT"),
        (6, 50.0, "2025-05-20"), (7, 50.0, "2025-04-02"), (10, 50.0, "2025-04-04"),
    ]  # fmt: skip
    early = ledger.rewards(log.as_of("2025-04-05"))
    assert len(early) == 8
    assert early["released_at"].notna().tolist() == [True, False, False, False, False, False, True, True]
    assert len(ledger.rewards(log.as_of("2025-04-04"))) == 7  # the second contact of user 1 is yet to come
    lift = ch.campaign_lift(ledger.assignments(), log, horizon=30, rewards=found, covariates=())
    table = lift.table.set_index("outcome")
    net = table.loc["net_value", "arm_value"] - table.loc["reinvested", "arm_value"]
    # within 30 days released: 1, 3, 7, 10; user 6 may still meet the condition after them, which counts as owed
    owed, cost = 4 * 50.0 + 50.0, 9 * 0.05
    assert net == pytest.approx(-1000 * (owed + cost) / 8)


@on_spark
def test_rewards_are_the_same_on_spark(session: Any, tmp_path: Path) -> None:  # noqa: F811
    ledger = Ledger(tmp_path / "l.duckdb")
    promise = {"step": 1, "reward": 50.0, "reward_condition": 1000.0, "promised_until": "2025-04-11"}
    sent = contacts(FIRST, *({"user_id": user, **promise} for user in (1, 2, 3)))
    ledger.record(FakePlan(FIRST, sent, enrolled(FIRST, *({"user_id": user} for user in (1, 2, 3))), ledger.state))
    paid = [(1, "2025-04-02", 400.0), (1, "2025-04-05", 600.0), (2, "2025-04-12", 5000.0), (3, "2025-04-11", 1e3)]
    found = ledger.rewards(small_log(invested=paid, engine=ch.connect(spark=session)))
    pd.testing.assert_frame_equal(found, ledger.rewards(small_log(invested=paid)))
    assert found["released_at"].notna().tolist() == [True, False, True]


def test_rewards_need_amounts_and_ids_of_one_kind(campaign: Ledger, tmp_path: Path) -> None:
    log = small_log()
    assert tuple(campaign.rewards(log).columns) == schema("ledger_rewards").names  # nothing is promised
    ledger = Ledger(tmp_path / "l.duckdb")
    sent = contacts(FIRST, {"user_id": "u1", "step": 1, "reward": 5.0})
    ledger.record(FakePlan(FIRST, sent, enrolled(FIRST, {"user_id": "u1"}), ledger.state))
    with pytest.raises(SchemaError, match="'user_id' is text"):
        ledger.rewards(log)
    events = pd.DataFrame({"user_id": [1], "event_at": ["2025-04-01"], "kind": "login"})
    users = pd.DataFrame({"user_id": [1], "registered_at": "2025-01-01"})
    with pytest.raises(SchemaError, match="rewards are released by investing"):
        ledger.rewards(ch.ActivityLog(events, users, observed_until=str(LAST)))


# -------------------------------------------------------------------------------------------------- deliveries


def delivered(**changes: Any) -> pd.DataFrame:
    row = {"user_id": 1, "campaign": "spring", "step": 1, "delivered_at": "2025-04-03", "opened_at": None}
    return pd.DataFrame([{**row, **changes}])


def test_deliveries_are_appended_once_and_openings_may_follow(first: Ledger, tmp_path: Path) -> None:
    ledger = first
    assert "delivered_at" not in ledger.assignments()
    assert ledger.deliver(delivered()) == Delivered(1, 0)
    assert ledger.deliver(delivered()) == Delivered(0, 1)
    assert ledger.deliver(delivered(opened_at="2025-04-05")) == Delivered(1, 0)
    assert ledger.deliver(delivered()) == Delivered(0, 1)
    delivered(user_id=2, delivered_at=pd.Timestamp("2025-04-02 23:59")).to_parquet(tmp_path / "delivered.parquet")
    assert ledger.deliver(tmp_path / "delivered.parquet") == Delivered(1, 0)
    assert ledger.deliver(delivered()[:0]) == Delivered(0, 0)
    found = ledger.assignments().set_index("user_id")
    assert found.loc[[1, 2], "delivered_at"].tolist() == [pd.Timestamp("2025-04-03"), pd.Timestamp("2025-04-02")]
    assert found["opened_at"].notna().tolist() == [True] + [False] * 7
    assert tuple(ledger.deliveries.columns) == schema("ledger_deliveries").names
    assert len(ledger.deliveries) == 3


WRONG_DELIVERIES: list[tuple[dict[str, Any], str]] = [
    ({"user_id": 4}, "1 rows are of no contact in the ledger, such as of user 4"),
    ({"step": 2}, "of no contact"),
    ({"delivered_at": "2025-04-01"}, "before the contact"),
    ({"opened_at": "2025-04-02"}, "an opening before the delivery"),
    ({"delivered_at": "2025-04-04"}, "two days of delivery"),
    ({"opened_at": "2025-04-08"}, "two days of delivery or of opening"),
    ({"user_id": "1"}, "User ids are text"),
    ({"delivered_at": None}, "'delivered_at' is missing in 1 rows"),
    ({"delivered_at": "soon"}, "'delivered_at' cannot be read as a day"),
    ({"delivered_at": 20250403}, "holds numbers"),
    ({"delivered_at": pd.Timestamp("2025-04-03", tz="Asia/Shanghai")}, "whose midnight ends a day is not said"),
]


def test_deliveries_that_cannot_be_are_refused_whole(first: Ledger) -> None:
    first.deliver(delivered(opened_at="2025-04-07"))
    for change, found in WRONG_DELIVERIES:
        with pytest.raises(InputError, match=found):
            first.deliver(delivered(**change))
    other = pd.concat([delivered(user_id=2, opened_at="2025-04-09"), delivered(user_id=4, opened_at="2025-04-09")])
    with pytest.raises(InputError, match="of no contact"):
        first.deliver(other)
    assert len(first.deliveries) == 1


def test_nothing_can_be_delivered_before_anything_was_sent(ledger: Ledger) -> None:
    with pytest.raises(InputError, match="knows of no contact that could have been delivered"):
        ledger.deliver(delivered())
    assert not ledger.path.exists()
