"""Rows of campaigns: worked by hand, against a walk over days written from the text, and every bad input."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

from churnsurv.data import ActivityLog, ChurnRule
from churnsurv.data.assigned import SUMS, CampaignRows, campaign_rows
from churnsurv.errors import FollowUpError, InputError, SchemaError
from churnsurv.tables import schema
from tests.data.spark import on_spark, spark  # noqa: F401
from tests.recall import small


@pytest.fixture(scope="module")
def rows() -> CampaignRows:
    return campaign_rows(small.log(), small.assignments(), horizon=small.HORIZON, rewards=small.rewards())


@cache
def read() -> ActivityLog:
    """One log for all questions: its tables are read once."""
    return small.log()


def spring(**changed: Any) -> CampaignRows:
    settings: dict[str, Any] = {"horizon": small.HORIZON} | changed
    table = settings.pop("assignments", small.assignments())
    return campaign_rows(settings.pop("log", None) or read(), table, **settings)


# ------------------------------------------------------------------------------------------------------- by hand


def test_returns_are_those_worked_by_hand(rows: CampaignRows) -> None:
    assert rows.user_id.tolist() == [1, 2, 3, 4, 5, 6]
    assert rows.arms == ("none", "sms")
    assert rows.arm.tolist() == [1, 1, 1, 0, 0, 0]
    assert rows.time.tolist() == small.TIME
    assert rows.returned.tolist() == small.RETURNED
    assert rows.followed.tolist() == small.FOLLOWED
    assert rows.delivered.tolist() == [1, 2, 0, 0, 0, 0]
    assert rows.opened.tolist() == rows.second.tolist() == [0] * 6
    assert str(rows.assigned_day[1]) == "2024-03-08"


def test_weighted_sums_are_those_worked_by_hand(rows: CampaignRows) -> None:
    for key, weights in small.WEIGHTS.items():
        np.testing.assert_allclose(1 / rows.weights[key], weights, rtol=1e-14)
    for name, expected in small.W.items():
        np.testing.assert_allclose(getattr(rows, name), expected, rtol=1e-14, err_msg=name)
    for name, cells in small.BY_DAY.items():
        for key, expected in cells.items():
            np.testing.assert_allclose(rows.by_day[name][key], expected, rtol=1e-14, err_msg=name)


def test_the_means_of_days_add_up_to_the_mean_of_the_sums(rows: CampaignRows) -> None:
    for name in SUMS:
        for arm, stratum in rows.weights:
            mine = (rows.arm == arm) & (rows.stratum == stratum)
            total = rows.by_day[name][arm, stratum].sum()
            np.testing.assert_allclose(total, getattr(rows, name)[mine].mean(), rtol=1e-13, atol=1e-15)


def test_what_was_known_before_is_that_worked_by_hand(rows: CampaignRows) -> None:
    assert rows.pre["pre_idle_days"].tolist() == small.IDLE
    assert rows.pre["pre_active_days"].tolist() == [1, 0, 0, 1, 1, 0]
    assert rows.pre["pre_invested"].tolist() == rows.pre["pre_balance"].tolist() == [40, 0, 0, 0, 0, 0]
    assert rows.pre["tenure"].tolist() == [60, 67, 68, 60, 60, 69]


def test_rows_say_what_they_are(rows: CampaignRows) -> None:
    assert repr(rows) == ("<CampaignRows: spring, 6 rows in 2 arms, 4 returned within 4 days; 3 followed so long>")
    assert rows.given == {"delivered_at", "cost", "rewards", "amount"}
    assert dict(rows.counts) == {
        "rows_read": 6, "rewards": 4, "rewards_released": 1, "rows": 6, "users": 6, "returned": 4,
        "followed_to_horizon": 3, "left_out": 0,
    }  # fmt: skip
    assert list(rows.problems.columns) == list(schema("assignment_problems").names)
    assert "without a time of day" in rows.notes[0]
    for array in (rows.time, rows.active_days, rows.pre["tenure"], rows.weights[1, 0], rows.by_day["cost"][1, 0]):
        assert not array.flags.writeable


def test_balances_are_those_of_the_end_of_the_day_before() -> None:
    balances = pd.DataFrame(
        {"user_id": [1, 1, 1, 4], "date": ["2024-02-01", "2024-02-29", "2024-03-01", "2024-03-02"], "balance": 1.0}
    ).assign(balance=[10.0, 20.0, 30.0, 40.0])
    found = spring(log=small.log(balances=balances))
    assert found.pre["pre_balance"].tolist() == [20, 0, 0, 0, 0, 0]


# ------------------------------------------------------------------------------------- a walk over the days


def later(since: Any, days: Any, *, least: int) -> list[datetime | None]:
    """So many days after, where they are at least so many."""
    return [at + timedelta(days=int(n)) if n >= least else None for at, n in zip(since, days, strict=True)]


def world(seed: int) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Events, users, assignments with times of day, strata, clusters and second contacts, and rewards."""
    rng = np.random.default_rng(seed)
    n = 40
    start = datetime(2024, 1, 1)
    users = pd.DataFrame(
        {
            "user_id": [f"u{i:02d}" for i in range(n)],
            "registered_at": [start + timedelta(days=int(d)) for d in rng.integers(-15, 30, n)],
        }
    )
    m = 600
    who = rng.integers(0, n, m)
    hours = rng.integers(0, 24 * 110, m)
    events = pd.DataFrame(
        {
            "user_id": users["user_id"].to_numpy()[who],
            "event_at": [start + timedelta(hours=int(h)) for h in hours],
            "kind": rng.choice(["login", "invest", "redeem", "view"], m),
            "amount": rng.integers(1, 10_000, m) / 100,
        }
    )
    parts = []
    for campaign, arms in (("fall", ["none", "sms"]), ("rise", ["none", "push", "sms"])):
        chosen = rng.permutation(n)[:30]
        at = [start + timedelta(days=int(d), hours=int(h)) for d, h in zip(
            rng.integers(40, 106, 30), rng.integers(0, 24, 30), strict=True
        )]  # fmt: skip
        at[:6] = [start + timedelta(days=40 + i, hours=9) for i in range(6)]
        arm = [arms[i % len(arms)] for i in range(30)]
        delay = rng.integers(0, 12, 30)
        parts.append(
            pd.DataFrame(
                {
                    "user_id": users["user_id"].to_numpy()[chosen],
                    "campaign": campaign,
                    "arm": arm,
                    "assigned_at": at,
                    "delivered_at": [
                        a + timedelta(days=int(d)) if name != "none" else pd.NaT
                        for a, d, name in zip(at, delay, arm, strict=True)
                    ],
                    "stratum": ["even" if i // 3 % 2 else "odd" for i in range(30)],
                    "cost": rng.integers(0, 100, 30) / 100,
                    "household": [f"h{i // 2}" if i % 5 else None for i in range(30)],
                }
            )
        )
    sent = pd.concat(parts, ignore_index=True).sample(frac=1, random_state=seed)
    paid = sent.sample(30, random_state=seed, replace=True)[["user_id", "campaign", "assigned_at"]]
    until, out = rng.integers(0, 30, 30), rng.integers(0, 20, 30)
    paid = paid.assign(
        amount=rng.integers(0, 1000, 30) / 10,
        promised_until=[
            a + timedelta(days=int(d)) if d else None for a, d in zip(paid["assigned_at"], until, strict=True)
        ],
        released_at=[
            a + timedelta(days=int(d)) if d > 8 else None for a, d in zip(paid["assigned_at"], out, strict=True)
        ],
    )
    return events, users, sent, paid.drop(columns="assigned_at")


UNTIL, IDLE = date(2024, 4, 19), 6


def walked(tables: Any, horizon: int) -> dict[tuple[str, str], dict[str, Any]]:
    """Each row day by day, in plain Python, without weights: what it brings on each day u."""
    events, users, sent, paid = tables
    first = min(events["event_at"].min(), users["registered_at"].min()).date()
    registered = dict(zip(users["user_id"], users["registered_at"].dt.date, strict=True))
    rows = {}
    for row in sent.itertuples():
        day = row.assigned_at.date()
        followed = (UNTIL - day).days + 1
        end = min(followed, horizon)
        mine = events[events["user_id"] == row.user_id]
        mine = mine[(mine["event_at"].dt.date >= registered[row.user_id]) & (mine["event_at"].dt.date >= first)]
        active, net, gained, past = set(), {}, {}, [registered[row.user_id]]
        before = {"pre_invested": 0.0, "pre_balance": 0.0}
        past_days = set()
        for event in mine.itertuples():
            u = (event.event_at.date() - day).days + 1
            money = {"invest": event.amount, "redeem": -event.amount}.get(event.kind, 0.0)
            if event.event_at <= row.assigned_at:
                if event.kind in ("login", "invest"):
                    past.append(event.event_at.date())
                    past_days |= {u} if u >= -29 else set()
                before["pre_balance"] += money
                before["pre_invested"] += money if u >= -29 and event.kind == "invest" else 0.0
            elif u <= end:
                active |= {u} if event.kind in ("login", "invest") else set()
                net[u] = net.get(u, 0.0) + money
                gained[u] = gained.get(u, 0.0) + max(money, 0.0)
        live = {}
        last = (max(past) - day).days + 1
        for u in range(1, end + 1):
            last = u if u in active else last
            if u - last < IDLE:
                live[u] = 1.0
        sums = {"active_days": dict.fromkeys(active, 1.0), "reinvested": net, "invested": gained, "days_live": live}
        delivered = 0 if pd.isna(row.delivered_at) else (row.delivered_at.date() - day).days + 1
        delivered = 0 if delivered > followed else delivered
        sums |= {"cost": {max(delivered, 1): row.cost}, "rewards": {}, "liability": {}}
        for reward in paid[(paid["user_id"] == row.user_id) & (paid["campaign"] == row.campaign)].itertuples():
            released = None if pd.isna(reward.released_at) else (reward.released_at.date() - day).days + 1
            expires = None if pd.isna(reward.promised_until) else (reward.promised_until.date() - day).days + 1
            if released is not None and released <= horizon:
                sums["rewards"][released] = sums["rewards"].get(released, 0.0) + reward.amount
            elif expires is None or expires > horizon:
                sums["liability"][horizon] = sums["liability"].get(horizon, 0.0) + reward.amount
        rows[row.campaign, row.user_id] = {
            "arm": row.arm, "stratum": row.stratum, "followed": followed, "end": end,
            "time": min(active, default=end), "returned": bool(active), "delivered": delivered, "sums": sums,
            "pre": before | {
                "pre_active_days": len(past_days),
                "pre_idle_days": (day - max(past)).days,
                "tenure": (day - registered[row.user_id]).days,
            },
        }  # fmt: skip
    return rows


@pytest.mark.parametrize("seed", [1, 2])
def test_rows_equal_a_walk_over_the_days(seed: int) -> None:
    horizon = 9
    tables = world(seed)
    events, users, sent, paid = tables
    log = ActivityLog(events, users, rule=ChurnRule(idle_days=IDLE), observed_until=UNTIL)
    columns = {"assignments": {"cluster": "household"}}
    found = campaign_rows(log, sent, horizon=horizon, rewards=paid, columns=columns)
    expected = walked(tables, horizon)
    keys = list(zip(np.array(found.campaigns)[found.campaign], found.user_id, strict=True))
    assert keys == sorted(expected)
    walk = [expected[key] for key in keys]
    assert "time of day" in found.given
    assert [found.arms[arm] for arm in found.arm] == [row["arm"] for row in walk]
    strata = [found.strata[stratum] for stratum in found.stratum]
    assert strata == [f"{key[0]}: {row['stratum']}" for key, row in zip(keys, walk, strict=True)]
    for name in ("followed", "time", "returned", "delivered"):
        assert getattr(found, name).tolist() == [row[name] for row in walk], name
    for name in walk[0]["pre"]:
        np.testing.assert_allclose(found.pre[name], [row["pre"][name] for row in walk], atol=1e-9, err_msg=name)
    cells = [(row["arm"], stratum) for row, stratum in zip(walk, strata, strict=True)]
    for name in SUMS:
        sums = []
        for row, cell in zip(walk, cells, strict=True):
            same = [other["followed"] for other, others in zip(walk, cells, strict=True) if others == cell]
            sums.append(
                sum(
                    amount * len(same) / sum(c >= u for c in same)
                    for u, amount in row["sums"][name].items()
                    if u <= row["end"]
                )
            )
        np.testing.assert_allclose(getattr(found, name), sums, atol=1e-9, err_msg=name)
    homes = dict(zip(zip(sent["campaign"], sent["user_id"], strict=True), sent["household"], strict=True))
    by_home = {}
    for key, cluster in zip(keys, found.cluster, strict=True):
        by_home.setdefault(homes[key] or key[1], set()).add(int(cluster))
    assert all(len(codes) == 1 for codes in by_home.values())
    assert len(by_home) == len(set(found.cluster.tolist()))


def test_one_of_several_campaigns_is_the_same_alone_and_among_others() -> None:
    events, users, sent, paid = world(4)
    log = ActivityLog(events, users, rule=ChurnRule(idle_days=IDLE), observed_until=UNTIL)
    among = campaign_rows(log, sent, horizon=9, rewards=paid)
    alone = campaign_rows(log, sent, horizon=9, rewards=paid, campaign="rise")
    picked = among.only("rise")
    assert picked.campaigns == alone.campaigns == ("rise",)
    assert picked.arms == alone.arms
    assert picked.strata == alone.strata == ("even", "odd")
    for name in ("campaign", "arm", "stratum", "time", "returned", "assigned_day", *SUMS):
        np.testing.assert_array_equal(getattr(picked, name), getattr(alone, name), err_msg=name)
    assert picked.user_id.tolist() == alone.user_id.tolist()
    for key, weights in alone.weights.items():
        np.testing.assert_array_equal(picked.weights[key], weights)
        for name in SUMS:
            np.testing.assert_array_equal(picked.by_day[name][key], alone.by_day[name][key])
    assert alone.only("rise") is alone
    with pytest.raises(InputError, match="Did you mean 'rise'"):
        among.only("ris")
    with pytest.raises(InputError, match="no campaign 'winter'"):
        campaign_rows(log, sent, horizon=9, campaign=["rise", "winter"])


def test_the_form_of_the_tables_changes_nothing(rows: CampaignRows, tmp_path: Any) -> None:
    import pyarrow as pa

    sent = small.assignments()
    sent.to_csv(tmp_path / "sent.csv", index=False)
    shuffled = sent.sample(frac=1, random_state=1)
    renamed = sent.rename(columns={"assigned_at": "sent_on"})
    dated = pa.Table.from_pandas(shuffled.assign(assigned_at=pd.to_datetime(shuffled["assigned_at"])))
    for table, columns in (
        (tmp_path / "sent.csv", None), (dated, None), (renamed, {"assignments": {"assigned_at": "sent_on"}})
    ):  # fmt: skip
        found = spring(assignments=table, rewards=small.rewards(), columns=columns)
        assert found.time.tolist() == small.TIME
        for name in SUMS:
            np.testing.assert_array_equal(getattr(found, name), getattr(rows, name))


@on_spark
def test_spark_gives_the_same(spark: Any) -> None:  # noqa: F811
    from churnsurv.data import connect

    events, users, sent, paid = world(5)
    rule = ChurnRule(idle_days=IDLE)
    ours = campaign_rows(
        ActivityLog(events, users, rule=rule, observed_until=UNTIL), sent, horizon=9, rewards=paid,
        columns={"assignments": {"cluster": "household"}},
    )  # fmt: skip
    with connect(spark=spark) as engine:
        log = ActivityLog(events, users, rule=rule, observed_until=UNTIL, engine=engine)
        theirs = campaign_rows(log, sent, horizon=9, rewards=paid, columns={"assignments": {"cluster": "household"}})
    assert theirs.user_id.tolist() == ours.user_id.tolist()
    for name in ("user", "campaign", "arm", "stratum", "cluster", "followed", "time", "returned", "delivered", *SUMS):
        np.testing.assert_array_equal(getattr(theirs, name), getattr(ours, name), err_msg=name)
    for name, values in ours.pre.items():
        np.testing.assert_array_equal(theirs.pre[name], values, err_msg=name)
    pd.testing.assert_frame_equal(theirs.problems, ours.problems)


# -------------------------------------------------------------------------------------------------- times of day


@pytest.mark.parametrize(
    ("assigned", "seen", "returned", "before"),
    [
        ("2024-03-05 12:00", "2024-03-05 11:00", False, 1),  # before the assignment: known at it
        ("2024-03-05 12:00", "2024-03-05 12:00", False, 1),
        ("2024-03-05 12:00", "2024-03-05 13:00", True, 0),
        ("2024-03-05 12:00", "2024-03-06 08:00", True, 0),
        ("2024-03-05", "2024-03-05 11:00", True, 0),  # a date: nobody knows which came first
    ],
)
def test_activity_on_the_day_of_assignment(assigned: str, seen: str, returned: bool, before: int) -> None:
    users = pd.DataFrame({"user_id": [1, 2], "registered_at": "2024-01-01"})
    events = pd.DataFrame({"user_id": [1, 2], "event_at": [seen, "2024-01-02 10:00"], "kind": "login"})
    sent = pd.DataFrame({"user_id": [1, 2], "campaign": "c", "arm": ["sms", "none"], "assigned_at": assigned})
    found = campaign_rows(ActivityLog(events, users, observed_until="2024-03-20"), sent, horizon=3)
    assert found.returned.tolist() == [returned, False]
    assert found.pre["pre_active_days"].tolist() == [before, 0]


def test_times_of_day_are_compared_on_one_clock() -> None:
    """12:30 in Shanghai is after 04:00 UTC, and 04:15 UTC is before it."""
    users = pd.DataFrame({"user_id": [1, 2, 3], "registered_at": "2024-01-01"})
    events = pd.DataFrame(
        {
            "user_id": [1, 2, 3],
            "event_at": ["2024-03-05 12:30", "2024-03-05T04:15:00Z", "2024-03-05 12:10"],
            "kind": "login",
        }
    )
    sent = pd.DataFrame(
        {
            "user_id": [1, 2, 3],
            "campaign": "c",
            "arm": ["sms", "sms", "none"],
            "assigned_at": pd.to_datetime(["2024-03-05 04:00", "2024-03-05 04:20", "2024-03-05 04:20"]).tz_localize(
                "UTC"
            ),
        }
    )
    log = ActivityLog(events, users, observed_until="2024-03-20", timestamps="Asia/Shanghai", time_zone="Asia/Shanghai")
    assert campaign_rows(log, sent, horizon=3).returned.tolist() == [True, False, False]


def test_a_registration_before_the_log_is_idle_since_it_began() -> None:
    users = pd.DataFrame({"user_id": [1, 2], "registered_at": "2020-01-01"})
    events = pd.DataFrame({"user_id": [2], "event_at": ["2024-02-01"], "kind": "login"})
    sent = pd.DataFrame({"user_id": [1, 2], "campaign": "c", "arm": ["a", "b"], "assigned_at": "2024-02-11"})
    log = ActivityLog(events, users, observed_from="2024-01-31", observed_until="2024-03-20")
    found = campaign_rows(log, sent, horizon=20)
    assert found.pre["pre_idle_days"].tolist() == [12, 10]
    # live while idle for fewer than 30 days, from day 1 on: through u = 18, and 20
    assert found.days_live.tolist() == [18, 20]
    assert any("registered before the log" in note for note in found.notes)
    assert any("less than 30 days" in note for note in found.notes)


# ---------------------------------------------------------------------------------------------------- covariates


def test_covariates_become_numbers() -> None:
    sent = small.assignments().assign(
        age=[20, None, 40, 30, 30, 30],
        vip=[True, False, True, False, True, False],
        city=["x", None, "y", "x", "x", "z"],
    )
    found = spring(assignments=sent, covariates=["age", "vip", "city", "channel"])
    assert found.pre["age"].tolist() == [20, 30, 40, 30, 30, 30]
    assert found.pre["age: missing"].tolist() == [0, 1, 0, 0, 0, 0]
    assert found.pre["vip"].tolist() == [1, 0, 1, 0, 1, 0]
    assert [name for name in found.pre if name.startswith("city")] == ["city: x", "city: y", "city: z"]
    assert found.pre["channel: b"].tolist() == [0, 1, 0, 1, 0, 1]


def test_numbers_of_a_csv_file_are_numbers(tmp_path: Any) -> None:
    small.assignments().assign(age=[20, None, 40, 30, 30, 30]).to_csv(tmp_path / "sent.csv", index=False)
    found = spring(assignments=tmp_path / "sent.csv", covariates=["age"])
    assert found.pre["age"].tolist() == [20, 30, 40, 30, 30, 30]


@pytest.mark.parametrize(
    ("covariates", "error", "words"),
    [
        (["chanel"], SchemaError, "Did you mean 'channel'"),
        ("channel", InputError, "list of column names"),
        (["registered_at"], SchemaError, "no column 'registered_at'"),
        (["seen"], SchemaError, "type TIMESTAMP"),
        (["many"], InputError, "60 categories"),
    ],
)
def test_covariates_that_cannot_be_used(covariates: Any, error: type[Exception], words: str) -> None:
    sent = pd.DataFrame(
        {"user_id": range(1, 7), "campaign": "c", "arm": ["a", "b"] * 3, "assigned_at": "2024-03-01"}
    ).assign(seen=pd.Timestamp("2024-01-01"))
    log, tables = small.log(), sent
    if covariates == ["many"]:
        users = pd.DataFrame(
            {"user_id": range(60), "registered_at": "2024-01-01", "many": [f"m{i}" for i in range(60)]}
        )
        events = pd.DataFrame({"user_id": [1], "event_at": ["2024-03-10"], "kind": "login"})
        log = ActivityLog(events, users)
        tables = users[["user_id"]].assign(campaign="c", arm=["a", "b"] * 30, assigned_at="2024-03-01")
    with pytest.raises(error, match=words):
        campaign_rows(log, tables, horizon=4, covariates=covariates)


# ------------------------------------------------------------------------------------------------------ bad input


def test_rows_that_cannot_be_used_come_back_with_their_reason() -> None:
    bad = pd.DataFrame(
        [
            (None, "spring", "sms", "2024-03-01"),
            (99, "spring", "sms", "2024-03-01"),
            (1, "winter", None, "2024-03-01"),
            (2, None, "sms", "2024-03-01"),
            (3, "winter", "sms", None),
            (4, "winter", "sms", "soon"),
            (5, "spring", "none", "2023-12-31"),
            (6, "winter", "none", "2024-03-11"),
            (1, "winter", "sms", "2024-03-01"),
            (1, "winter", "sms", "2024-03-05"),
            (2, "winter", "none", "2024-03-01"),
            (2, "winter", "none", "2024-03-01"),
        ],
        columns=["user_id", "campaign", "arm", "assigned_at"],
    )
    sent = pd.concat([small.assignments(), bad], ignore_index=True)
    paid = pd.DataFrame(
        [
            (1, "spring", "much", None, None),
            (1, "autumn", "5", None, None),
            (1, "spring", "5", None, "2024-02-01"),
            (1, "spring", "5", "never", None),
            (None, "spring", "5", None, None),
        ],
        columns=["user_id", "campaign", "amount", "promised_until", "released_at"],
    )
    found = spring(assignments=sent, rewards=paid)
    listed = found.problems
    reasons = listed.groupby(["table", "reason"], observed=True).size().to_dict()
    assert reasons == {
        **{
            ("assignments", reason): 1
            for reason in (
                "missing_user_id", "unknown_user", "missing_arm", "missing_campaign", "missing_date", "unparsable_date",
                "assigned_before_registration", "assigned_after_log", "duplicate_assignment",
            )
        },
        ("rewards", "amount_not_a_number"): 1,
        ("rewards", "no_assignment"): 1,
        ("rewards", "released_before_assignment"): 1,
        ("rewards", "unparsable_date"): 1,
        ("rewards", "missing_user_id"): 1,
    }  # fmt: skip
    assert listed.set_index("reason").loc["duplicate_assignment", "value"] == "2024-03-05"
    assert listed.set_index("reason").loc["unknown_user", "user_id"] == "99"
    assert found.counts["equal_rows"] == 1
    assert found.counts["rows"] == 8
    assert found.counts["left_out"] == 9
    assert found.counts["rewards_no_assignment"] == 1
    assert found.rewards.sum() == 0
    for table, n in (("assignments", 9), ("rewards", 5)):
        assert f"{table}: {n} rows are left out; .problems lists them with their reasons." in found.notes


def with_row(**values: Any) -> pd.DataFrame:
    sent = small.assignments()
    for column, value in values.items():
        kept = sent[column].astype(object) if column in sent else pd.Series([0.5] * 6, dtype=object)
        sent[column] = [value, *kept[1:]]
    return sent


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (with_row(cost=-0.5), "'cost' is negative in 1 rows, such as user 1 \\(-0.5\\)"),
        (with_row(cost="free"), "'cost' is no number in 1 rows"),
        (with_row(propensity=1.0), "'propensity' is not between 0 and 1 in 1 rows, such as user 1"),
        (with_row(propensity=0.0), "nobody to compare"),
        (with_row(propensity=None), "'propensity' is no number"),
        (with_row(delivered_at="2024-02-28"), "'delivered_at' lies before assigned_at in 1 rows"),
        (with_row(delivered_at="soon"), "'delivered_at' can't be read as a day in 1 rows"),
        (small.assignments().assign(opened_at="2024-01-15"), "'opened_at' lies before assigned_at in 6 rows"),
        (small.assignments().assign(second_contact_at="2024-01-15"), "'second_contact_at' lies before"),
        (small.assignments().assign(arm="sms"), "no other arm than 'sms'"),
        (with_row(arm="voucher", assigned_at="2023-01-01"), "arm 'voucher' of campaign 'spring' is empty"),
        (
            small.assignments().assign(user_id=range(90, 96)),
            r"is empty: every row .* \(unknown_user 3\)",
        ),
        (small.assignments().assign(arm=None), "no row can be used"),
        (small.assignments().iloc[:0], "no rows"),
        (None, "no table was given"),
        (small.assignments().drop(columns="arm"), "'arm' is missing"),
    ],
)
def test_what_cannot_be_true_is_refused(table: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        spring(assignments=table)


def test_a_user_in_two_arms_is_listed_and_left_out_only_on_request() -> None:
    again = small.assignments().iloc[[0]].assign(arm="none")
    sent = pd.concat([small.assignments(), again], ignore_index=True)
    with pytest.raises(InputError, match=r"1 users are in two arms .*user 1 in 'spring': none, sms.*exclude_conflicts"):
        spring(assignments=sent)
    found = spring(assignments=sent, exclude_conflicts=True, horizon=3)
    assert found.user_id.tolist() == [2, 3, 4, 5, 6]
    assert found.counts["two_arms"] == 2
    assert found.problems["reason"].tolist() == ["two_arms"] * 2
    lone = pd.concat([small.assignments(), again.assign(arm="push")], ignore_index=True)
    with pytest.raises(InputError, match="arm 'push' of campaign 'spring' is empty: every user of it is in another"):
        spring(assignments=lone, exclude_conflicts=True)


def test_beyond_the_follow_up_the_largest_horizon_is_given() -> None:
    spring(horizon=10)
    with pytest.raises(FollowUpError, match=r"arm 'none' was followed for 11 days.* horizon=10"):
        spring(horizon=11)
    by_week = small.assignments().assign(stratum=["a", "b", "b", "a", "a", "b"])
    with pytest.raises(FollowUpError, match=r"arm 'none' in stratum 'b' was.*horizon=1:.*Wider strata"):
        spring(assignments=by_week)


def test_negative_rewards_are_refused() -> None:
    with pytest.raises(InputError, match="'amount' is negative in 1 rows, such as one of user 1"):
        spring(rewards=small.rewards().iloc[:1].assign(amount=-1.0))


def test_columns_of_other_tables_are_refused() -> None:
    with pytest.raises(InputError, match=r"'assignment'.*Did you mean 'assignments'"):
        spring(columns={"assignment": {"arm": "group"}})
    with pytest.raises(InputError, match="'rewards', but no such table"):
        spring(columns={"rewards": {"amount": "money"}})


def openers(n: int) -> tuple[ActivityLog, pd.DataFrame]:
    ids = range(2 * n)
    users = pd.DataFrame({"user_id": ids, "registered_at": "2024-01-01"})
    events = pd.DataFrame({"user_id": [0], "event_at": ["2024-03-20"], "kind": "login"})
    sent = pd.DataFrame({"user_id": ids, "campaign": "c", "arm": ["a"] * n + ["b"] * n, "assigned_at": "2024-03-01"})
    return ActivityLog(events, users), sent.assign(opened_at=["2024-03-04"] * n + [None] * n)


def test_an_arm_of_all_who_opened_is_refused() -> None:
    log, sent = openers(12)
    with pytest.raises(InputError, match="all 12 users of arm 'a' of campaign 'c' opened the message"):
        campaign_rows(log, sent, horizon=5)
    sent.loc[0, "opened_at"] = None
    assert campaign_rows(log, sent, horizon=5).opened.tolist() == [0] + [4] * 11 + [0] * 12


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"campaign": "Spring"}, r"4 of 4 rows .* their 'campaign', such as 'Spring'.*Did you mean 'spring'"),
        ({"campaign": [7.0, None, None, None]}, r"'campaign', such as '7.0', is none of the assignments' \('spring'\)"),
        ({"user_id": range(70, 74)}, "their 'user_id', such as 70, is none of the users'"),
    ],
)
def test_rewards_that_match_nothing_are_refused(changed: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        spring(rewards=small.rewards().assign(**changed))


def test_rewards_of_what_was_not_asked_for_are_no_mistake() -> None:
    both = pd.concat([small.assignments(), small.assignments().assign(campaign="winter")], ignore_index=True)
    found = spring(assignments=both, campaign="spring", rewards=small.rewards().assign(campaign="winter"))
    assert found.rewards.sum() == 0
    assert found.counts["rewards_no_assignment"] == 4


@pytest.mark.parametrize(("campaign", "words"), [(7, "such as '7', not 7"), ([], "empty: name some"), ([None], "text")])
def test_campaigns_are_named_as_text(campaign: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        spring(campaign=campaign)


def test_days_that_are_missing_everywhere_may_be_numbers() -> None:
    nothing = {"delivered_at": np.nan, "second_contact_at": np.nan}
    paid = small.rewards().assign(released_at=np.nan)
    found = spring(assignments=small.assignments().assign(**nothing), rewards=paid)
    assert found.delivered.tolist() == found.second.tolist() == [0] * 6
    assert found.rewards.sum() == 0
    assert found.liability.sum() > 0
    with pytest.raises(SchemaError, match="delivered_at"):
        spring(assignments=small.assignments().assign(delivered_at=3.0))
