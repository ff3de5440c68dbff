"""The contact ledger: nothing twice, nothing lost, and what campaigns are judged by."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from churnsurv.action.ledger import Ledger
from churnsurv.errors import DataNotReadyError, InputError, SchemaError
from churnsurv.tables import schema
from tests.action.planned import ARM, FIRST, FakePlan, FakePolicy, alerted, contacts, enrolled, plan, run_days

ROOT = Path(__file__).parents[2]
DAY = timedelta(days=1)
USERS = range(1, 9)  # 4 and 8 are held out


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
def begun(tmp_path_factory: pytest.TempPathFactory) -> tuple[Ledger, FakePlan]:
    """A ledger with its first day, to be copied, and the plan of that day."""
    ledger = Ledger(tmp_path_factory.mktemp("begun") / "contacts.duckdb")
    made = plan(ledger.before(FIRST), USERS)
    ledger.record(made)
    return ledger, made


@pytest.fixture
def first(begun: tuple[Ledger, FakePlan], tmp_path: Path) -> Ledger:
    """The first day is recorded: users 1 ... 8, of whom 4 and 8 are held out."""
    shutil.copy(begun[0].path, tmp_path / "contacts.duckdb")
    return Ledger(tmp_path / "contacts.duckdb")


# ------------------------------------------------------------------------------------------------ what is recorded


def test_a_ledger_that_is_not_there_is_empty(ledger: Ledger) -> None:
    view = ledger.before("2025-04-01", since="2025-03-01")
    for table, layout in ((view.contacts, "ledger_contacts"), (view.enrolled, "ledger_enrolled")):
        assert tuple(table.columns) == schema(layout).names
        assert len(table) == 0
    assert len(view.totals) == len(view.spent) == len(view.last_days) == 0  # type: ignore[arg-type]
    assert view.state == ledger.state
    assert ledger.last_day("spring") is None
    assert ledger.recorded(FIRST, "spring") is None
    for name in ("contacts", "enrolled", "days", "deliveries"):
        assert tuple(getattr(ledger, name).columns) == schema(f"ledger_{name}").names
    assert tuple(ledger.assignments().columns) == schema("ledger_assignments").names
    assert not ledger.path.exists()
    for users in (pd.DataFrame({"user_id": [1]}), pd.DataFrame({"user_id": ["a"]})):
        assert len(users.merge(view.contacts, on="user_id", how="left")) == 1


@pytest.mark.parametrize(
    ("of", "dtype"), [(lambda n: n, "int64"), (lambda n: f"u{n}", "object"), (lambda n: np.uint64(n + 2**63), "uint64")]
)
def test_what_is_recorded_comes_back_as_it_was(ledger: Ledger, of: Any, dtype: str) -> None:
    rows = [{"user_id": of(n), "step": 1, "message": "好消息" if n % 2 else None, "reward": 1e3 / 3} for n in (1, 2)]
    sent = contacts(FIRST, *rows)
    drawn = enrolled(FIRST, *({"user_id": of(n)} for n in (1, 2)), {"user_id": of(3), "arm": "holdout", "share": 0.25})
    made = FakePlan(FIRST, sent.astype({"user_id": dtype}), drawn.astype({"user_id": dtype}), ledger.state)
    done = ledger.record(made)
    assert (done.n_contacts, done.n_enrolled, done.already) == (2, 3, False)
    for table, given, layout in (
        (ledger.contacts, made.contacts, "ledger_contacts"),
        (ledger.enrolled, made.enrolled, "ledger_enrolled"),
    ):
        assert tuple(table.columns) == schema(layout).names
        both = [each.astype(object).where(each.notna(), None) for each in (table, given)]
        pd.testing.assert_frame_equal(both[0], both[1], check_dtype=False)
        assert str(table["user_id"].dtype) == dtype
    assert ledger.recorded(FIRST, "spring") == made.digest
    assert ledger.days[["n_contacts", "n_enrolled"]].to_numpy().tolist() == [[2, 3]]


def test_before_a_day_there_is_what_was_recorded_for_earlier_days(campaign: Ledger) -> None:
    whole, day = campaign.contacts, FIRST + 4 * DAY
    view = campaign.before(day)
    pd.testing.assert_frame_equal(view.contacts, whole[whole["date"] < pd.Timestamp(day)])
    assert (view.totals, view.spent) == (None, None)
    assert view.last_days == {"spring": day - DAY}
    assert campaign.before(FIRST).state == Ledger(campaign.path.with_name("none.duckdb")).state
    assert campaign.before(FIRST + 6 * DAY).state == campaign.state != view.state


def test_recent_contacts_with_the_totals_of_all(campaign: Ledger) -> None:
    day, since = FIRST + 5 * DAY, FIRST + 3 * DAY
    whole, view = campaign.before(day).contacts, campaign.before(day, since=since)
    pd.testing.assert_frame_equal(view.contacts, whole[whole["date"] >= pd.Timestamp(since)].reset_index(drop=True))
    counted = whole.groupby(["user_id", "campaign"], observed=True).size()
    assert view.totals is not None
    assert view.totals["n_contacts"].tolist() == counted.tolist()
    assert view.spent is not None
    assert view.spent[["channel", "n_contacts", "reward"]].to_numpy().tolist() == [["sms", len(whole), 0.0]]
    assert view.spent["cost"].tolist() == [len(whole) * 5 / 100]


def test_an_older_contact_whose_promise_is_open_is_among_the_recent_ones(ledger: Ledger) -> None:
    until = {1: FIRST + 4 * DAY, 2: FIRST + 5 * DAY, 3: None}
    rows = [{"user_id": user, "step": 1, "reward": 5.0, "promised_until": day} for user, day in until.items()]
    drawn = enrolled(FIRST, *({"user_id": user} for user in until))
    ledger.record(FakePlan(FIRST, contacts(FIRST, *rows), drawn, ledger.state))
    day = FIRST + 5 * DAY
    assert ledger.before(day, since=day).contacts["user_id"].tolist() == [2]


def test_rows_are_in_order_whatever_that_of_the_campaigns(ledger: Ledger) -> None:
    for name, day in (("spring", FIRST), ("summer", FIRST + DAY), ("spring", FIRST + DAY), ("autumn", FIRST + DAY)):
        ledger.record(plan(ledger.before(day), [3, 1, 2], policy=FakePolicy(campaign=name)))
    found = ledger.contacts[["date", "campaign", "user_id"]]
    assert found.astype(str).to_numpy().tolist() == sorted(found.astype(str).to_numpy().tolist())
    assert ledger.days["campaign"].tolist() == ["spring", "autumn", "spring", "summer"]


def test_texts_of_many_values_come_back_too(campaign: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = campaign.contacts
    monkeypatch.setattr("churnsurv.data.contact_store_reading._MOST", 0)
    pd.testing.assert_frame_equal(campaign.contacts, whole)


def test_a_day_without_anybody_is_recorded_and_decides_no_type_of_ids(ledger: Ledger) -> None:
    ledger.record(plan(ledger.before(FIRST), []))
    assert ledger.last_day("spring") == FIRST
    day = FIRST + DAY
    assert ledger.record(plan(ledger.before(day), ["u1", "u4"])).n_contacts == 1
    assert ledger.contacts["user_id"].tolist() == ["u1"]


def test_a_path_with_spaces_and_chinese_characters(tmp_path: Path) -> None:
    folder = tmp_path / "召回 2025 it's"
    folder.mkdir()
    ledger = Ledger(str(folder / "聯絡 帳.duckdb"))
    ledger.record(plan(ledger.before(FIRST), USERS))
    assert len(Ledger(folder / "聯絡 帳.duckdb").contacts) == 6
    assert [path.name for path in folder.iterdir()] == ["聯絡 帳.duckdb"]


def test_a_folder_is_no_ledger(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder"):
        Ledger(tmp_path)
    with pytest.raises(InputError, match="takes the path of its file"):
        Ledger(3)  # type: ignore[arg-type]


# --------------------------------------------------------------------------------------------- nothing twice


def test_the_same_plan_again_changes_nothing(first: Ledger, begun: tuple[Ledger, FakePlan]) -> None:
    ledger, made = first, begun[1]
    content = ledger.path.read_bytes()
    again = ledger.record(made)
    assert again.already
    assert "had been recorded before; nothing was written" in str(again)
    assert ledger.record(plan(ledger.before(FIRST), USERS)).already  # planned anew, from what was known before the day
    assert ledger.path.read_bytes() == content


def test_another_plan_of_a_recorded_day_says_how_much_differs(first: Ledger) -> None:
    ledger = first
    with pytest.raises(InputError, match=r"Another plan is recorded .* 3 contacts and 3 enrolments differ\. What is"):
        ledger.record(plan(ledger.before(FIRST), [1, 2, 3, 4, 5, 8, 9]))  # without 6 and 7, with 9
    with pytest.raises(InputError, match="0 contacts and 0 enrolments differ"):
        ledger.record(replace(plan(ledger.before(FIRST), USERS), said="another word"))
    assert len(ledger.contacts) == 6


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"dry_run": True}, "is a dry run"),
        ({"date": FIRST - DAY}, "lies before the last recorded day of the ledger, 2025-04-01 of campaign 'spring'"),
    ],
)
def test_past_days_and_dry_runs_are_not_recorded(first: Ledger, changes: dict[str, Any], found: str) -> None:
    ledger = first
    day = FIRST + DAY
    with pytest.raises(InputError, match=found):
        ledger.record(replace(plan(ledger.before(day), USERS), **changes))
    assert ledger.last_day("spring") == FIRST


def test_no_campaign_records_a_day_before_that_of_another(first: Ledger) -> None:
    other = FakePolicy(campaign="summer")
    with pytest.raises(InputError, match="before the last recorded day of the ledger, 2025-04-01 of campaign 'spring'"):
        first.record(plan(first.before(FIRST - DAY), USERS, policy=other))
    assert not first.record(plan(first.before(FIRST), USERS, policy=other)).already
    assert first.record(plan(first.before(FIRST), USERS)).already
    assert (first.last_day(), first.last_day("summer"), first.last_day("autumn")) == (FIRST, FIRST, None)


def test_a_plan_made_before_somebody_else_recorded_must_be_made_again(first: Ledger) -> None:
    ledger = first
    day = FIRST + 2 * DAY
    made = plan(ledger.before(day), USERS)
    ledger.record(plan(ledger.before(FIRST), USERS, policy=FakePolicy(campaign="summer")))
    with pytest.raises(DataNotReadyError, match="Plan again, and record that"):
        ledger.record(made)
    assert ledger.record(plan(ledger.before(day), USERS)).n_contacts == 6


def test_a_ledger_that_is_gone_does_not_come_back_empty(first: Ledger) -> None:
    ledger = first
    made = plan(ledger.before(FIRST + DAY), USERS)
    ledger.path.unlink()
    with pytest.raises(DataNotReadyError, match="or it is another file"):
        ledger.record(made)
    assert not ledger.path.exists()


def test_two_campaigns_of_one_day_do_not_hinder_each_other(ledger: Ledger) -> None:
    plans = [plan(ledger.before(FIRST), USERS, policy=FakePolicy(campaign=name)) for name in ("spring", "summer")]
    assert [ledger.record(made).already for made in plans] == [False, False]
    assert len(ledger.contacts) == 12


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"holdout": 0.3}, "holdout from 0.25 to 0.3"),
        ({"control": "none"}, "control from 'holdout' to 'none'"),
        ({"arms": {"a": 0.5, ARM: 0.5}}, "arms from {'contact': 1.0} to {'a': 0.5, 'contact': 0.5}"),
        ({}, "another key"),
    ],
)
def test_the_lots_of_a_campaign_do_not_change_under_way(first: Ledger, changes: dict[str, Any], found: str) -> None:
    ledger = first
    made = plan(ledger.before(FIRST + DAY), USERS)
    other = replace(made, policy=replace(made.policy, draw="others", **changes))
    with pytest.raises(InputError, match=f"draws other lots than before.*{found}.*a new name"):
        ledger.record(other)
    with_other_offers = replace(made, policy=replace(made.policy, digest="other"))
    assert not ledger.record(with_other_offers).already


def test_ids_are_of_one_kind(first: Ledger) -> None:
    ledger = first
    with pytest.raises(InputError, match="User ids are text in what is given, but whole numbers in the ledger"):
        ledger.record(plan(ledger.before(FIRST + DAY), ["u1", "u2"]))
    mixed = FakePlan(
        FIRST + DAY, contacts(FIRST + DAY, {"user_id": 1, "step": 2}), enrolled(FIRST, {"user_id": "x"}), ""
    )
    with pytest.raises(InputError, match="but whole numbers in the ledger"):
        ledger.record(mixed)
    big = enrolled(FIRST + DAY, {"user_id": np.uint64(2**63)}).astype({"user_id": "uint64"})
    with pytest.raises(InputError, match="9223372036854775808 does not fit"):
        ledger.record(FakePlan(FIRST + DAY, contacts(FIRST + DAY), big, ledger.state))
    small = plan(ledger.before(FIRST + DAY), USERS)
    unsigned = {name: getattr(small, name).astype({"user_id": "uint64"}) for name in ("contacts", "enrolled")}
    assert ledger.record(replace(small, **unsigned)).n_contacts == 6


def _one(**changes: Any) -> dict[str, Any]:
    return {"user_id": 1, "step": 2, **changes}


CONTRADICTIONS: list[tuple[list[dict[str, Any]], list[dict[str, Any]], str]] = [
    ([_one(step=1)], [], "do not have the step that follows"),
    ([_one(step=3)], [], "do not have the step that follows"),
    ([_one(), _one(step=3)], [], "1 users are contacted twice on one day"),
    ([_one(arm="holdout")], [], "are held out"),
    ([_one(user_id=4, step=1, arm="holdout")], [], "are held out"),
    ([_one(user_id=99, step=1)], [], "not enrolled in the arm.*such as user 99"),
    ([_one(date=FIRST)], [], "contacts are of another day"),
    ([_one(contact_on=FIRST)], [], "contacts are of another day"),
    ([_one(campaign="summer")], [], "contacts are of another day or campaign"),
    ([], [{"user_id": 1}], "enrolled again; their arm was frozen"),
    ([], [{"user_id": 20}, {"user_id": 20, "arm": "holdout"}], "enrolled twice"),
    ([], [{"user_id": 20, "assigned_on": FIRST}], "enrolments are of another day"),
]


def test_a_plan_that_contradicts_the_ledger_is_refused_whole(first: Ledger) -> None:
    day = FIRST + DAY
    state, fine = first.before(day).state, {"user_id": 30, "step": 1}
    for sent, drawn, found in CONTRADICTIONS:
        made = FakePlan(day, contacts(day, fine, *sent), enrolled(day, {"user_id": 30}, *drawn), state)
        with pytest.raises(InputError, match=found):
            first.record(made)
    assert (len(first.contacts), len(first.enrolled), first.last_day("spring")) == (6, 8, FIRST)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda table: table.drop(columns="track"), "plan.contacts: 'track' is missing"),
        (lambda table: table.assign(step=[1.5] * len(table)), "'step' has type double; integer is needed"),
        (lambda table: table.assign(channel=None), "'channel' is missing in 6 rows"),
        (lambda table: table.assign(user_id=0.5), "ids must be whole numbers or text"),
        (lambda table: table.assign(user_id=[1, "2", 3, "4", 5, 6]), "'user_id' has values of several types"),
        (lambda table: table.assign(date=pd.Timestamp("2025-04-01 08:00")), "'date' has type timestamp"),
    ],
)
def test_a_plan_whose_tables_cannot_be_read_is_refused(ledger: Ledger, change: Any, found: str) -> None:
    made = plan(ledger.before(FIRST), USERS)
    with pytest.raises(SchemaError, match=found):
        ledger.record(replace(made, contacts=change(made.contacts)))
    assert not ledger.path.exists()


# ------------------------------------------------------------------------------------------ two at once, and killed

RECORD = """
import sys
from churnsurv.action.ledger import Ledger
from churnsurv.data import contact_store_writing as writing
from tests.action.planned import FIRST, alerted, plan
insert = writing._insert
def slowly(*given):
    insert(*given)
    print("in the middle", flush=True)
    sys.stdin.readline()
writing._insert = slowly
ledger = Ledger(sys.argv[1])
print(ledger.record(plan(ledger.before(FIRST), alerted(FIRST))).already)
"""


def test_of_two_at_once_one_wins_and_the_other_says_so(ledger: Ledger) -> None:
    made = plan(ledger.before(FIRST), alerted(FIRST))
    other = subprocess.Popen(
        [sys.executable, "-c", RECORD, str(ledger.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "in the middle\n"
        with pytest.raises(DataNotReadyError, match=f"held by process {other.pid} .*Nothing was recorded. Try again"):
            ledger.record(made)
        with pytest.raises(DataNotReadyError, match="Try again"):
            ledger.before(FIRST)
    finally:
        said, _ = other.communicate("go on\n", timeout=60)
    assert said == "False\n"
    assert ledger.record(made).already
    assert len(ledger.contacts) == len(made.contacts)


def killed(what: str, folder: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.action.killed_ledger", what, str(folder)],
        cwd=ROOT, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


can_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL, which this system has not")


@can_fork
@pytest.mark.parametrize("days", ["two", pytest.param("ten", marks=pytest.mark.slow)])
def test_days_that_are_killed_at_random_moments_end_as_if_nothing_had_happened(days: str, tmp_path: Path) -> None:
    """No contact twice, none lost, enrolments as they were drawn, and the file opens after each kill."""
    answer = killed(days, tmp_path / "l")
    assert answer["wrong"] == 0
    assert answer["at_the_end"]
    assert answer["beside"] == ["ledger.duckdb", "whole.duckdb"]
    assert answer["stages"] == sorted(answer["stages"])
    assert answer["kills"] >= 2 or answer["by"] == "clocked"


@pytest.mark.slow
@can_fork
@pytest.mark.parametrize("day", ["first", "next"])
def test_killed_at_every_moment_a_day_is_recorded_or_not(day: str, tmp_path: Path) -> None:
    answer = killed(day, tmp_path / "l")
    assert answer["wrong"] == 0
    assert answer["at_the_end"]
    assert not [name for name in answer["beside"] if ".new-" in name]
    assert answer["by"] == "clocked" or min(answer["found"].values()) > 5


def test_a_day_is_a_date_or_its_text(campaign: Ledger) -> None:
    assert campaign.before(date(2025, 4, 3)).state == campaign.before("2025-04-03").state
    with pytest.raises(InputError, match="date must be a date"):
        campaign.before("soon")
    assert repr(campaign) == f"<Ledger: {str(campaign.path)!r}>"
