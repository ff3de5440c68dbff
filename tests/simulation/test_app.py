"""The tables of the app: the same for the same seed, consistent with each other, and readable by the log."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import churnsurv as ch
from churnsurv.simulation import Arm, Campaign, Problem, Shock, SimulatedApp, simulate_app

TABLES = ("events", "users", "balances", "campaigns", "feedback", "costs")


def signed(events: pd.DataFrame) -> pd.Series:
    """Cents that came in (invest) or went out (redeem)."""
    cents = (events["amount"] * 100).round().fillna(0).astype("int64")
    return cents.where(events["kind"] == "invest", -cents)


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        simulate_app(1_500, seed=seed).write(tmp_path / name, truth=True)
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert files == sorted(f"{name}.parquet" for name in (*TABLES, "gaps"))
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
        assert (tmp_path / "a" / file).read_bytes() != (tmp_path / "c" / file).read_bytes()


def test_another_process_gives_the_same_bytes(tmp_path: Path) -> None:
    """Whatever texts hash to and however many threads there are."""
    simulate_app(600, seed=5).write(tmp_path / "here", truth=True)
    code = f"import churnsurv as ch; ch.simulate_app(600, seed=5).write({str(tmp_path / 'there')!r}, truth=True)"
    threads = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "ARROW")}
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, **threads, "PYTHONHASHSEED": "77"})
    for file in (tmp_path / "here").iterdir():
        assert file.read_bytes() == (tmp_path / "there" / file.name).read_bytes(), file.name


def test_the_size_of_a_chunk_changes_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    simulate_app(1_500, seed=2).write(tmp_path / "whole", truth=True)
    monkeypatch.setattr("churnsurv.simulation.chunks.CHUNK", 400)
    app = simulate_app(1_500, seed=2)
    app.write(tmp_path / "cut", truth=True)
    for file in (tmp_path / "whole").iterdir():
        assert file.read_bytes() == (tmp_path / "cut" / file.name).read_bytes()
    effects = app.truth.campaign_effects()
    monkeypatch.undo()
    pd.testing.assert_frame_equal(effects, simulate_app(1_500, seed=2).truth.campaign_effects(), rtol=1e-12)


def test_row_groups_are_cut_by_rows_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("churnsurv.simulation.writing._GROUP", 5_000)
    monkeypatch.setattr("churnsurv.simulation.chunks.CHUNK", 130)
    app = simulate_app(400, seed=2)
    file = pq.ParquetFile(app.write(tmp_path) / "events.parquet")
    sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    assert len(sizes) > 2
    assert set(sizes[:-1]) == {5_000}
    assert sum(sizes) == len(app.events)


def test_more_users_do_not_change_those_before(app: SimulatedApp) -> None:
    few = simulate_app(300, seed=app.seed)
    for table in ("events", "users", "balances", "campaigns", "feedback"):
        whole = getattr(app, table)
        first = whole[whole["user_id"] <= 300].reset_index(drop=True)
        pd.testing.assert_frame_equal(first, getattr(few, table))
    whole = app.truth.gaps
    pd.testing.assert_frame_equal(whole[whole["user_id"] <= 300], few.truth.gaps)


def test_files_hold_what_the_frames_hold(tmp_path: Path) -> None:
    app = simulate_app(500, seed=3)
    app.write(tmp_path)
    for table in TABLES:
        written = pd.read_parquet(tmp_path / f"{table}.parquet")
        frame = getattr(app, table)
        assert written.columns.tolist() == frame.columns.tolist()
        for column in written:
            if column in {"amount", "balance", "cost"}:
                pd.testing.assert_series_equal(written[column].astype("float64"), frame[column])
    log = ch.ActivityLog(tmp_path / "events.parquet", tmp_path / "users.parquet", observed_until=app.observed_until)
    pd.testing.assert_frame_equal(log.churn_spells().table, app.log.churn_spells().table)


def test_files_of_two_apps_never_stand_side_by_side(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    simulate_app(20, seed=1).write(tmp_path, truth=True)
    replace = Path.replace

    def killed_at_the_third(self: Path, target: Path) -> Path:
        if sum(path.suffix == ".parquet" for path in tmp_path.iterdir()) == 2:
            raise KeyboardInterrupt
        return replace(self, target)

    other = simulate_app(30, seed=2)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed_at_the_third)
        with pytest.raises(KeyboardInterrupt):
            other.write(tmp_path)
    left = {path.name: pq.read_metadata(path).num_rows for path in tmp_path.iterdir()}
    assert len(left) == 2
    assert left["users.parquet"] == 30
    simulate_app(30, seed=2).write(tmp_path)
    assert len(list(tmp_path.iterdir())) == len(TABLES)


def test_a_failed_write_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("churnsurv.simulation.app.Ledger.table", fail)
    with pytest.raises(OSError, match="disk full"):
        simulate_app(10).write(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_nothing_happens_before_registration_or_after_the_window(app: SimulatedApp) -> None:
    events = app.events.merge(app.users, on="user_id", validate="many_to_one")
    assert len(events) == len(app.events)
    assert (events["event_at"] > events["registered_at"]).all()
    assert events["event_at"].max() < pd.Timestamp(app.observed_until) + pd.Timedelta(days=1)
    assert app.users["registered_at"].min() >= pd.Timestamp(app.observed_from)
    assert app.users["user_id"].tolist() == list(range(1, 20_001))
    assert events["user_id"].is_monotonic_increasing
    assert (events.groupby("user_id")["event_at"].diff().dropna() > pd.Timedelta(0)).all()


def test_there_is_no_trouble_unless_asked_for(app: SimulatedApp) -> None:
    parameters = app.truth.parameters
    assert parameters["shocks"] == parameters["problems"] == []
    assert len(parameters["campaigns"]) == 2
    assert app._world.constant
    # The default campaigns reach active users, and leave most gaps alone.
    assert 0.001 < app.truth.gaps["contacted"].mean() < 0.1


def test_registrations_stop_in_the_drifting_world_and_events_do_not() -> None:
    app = simulate_app(3_000, seed=3, scenario="drift")
    days = app.users["registered_at"].dt.date
    assert date(2024, 6, 20) < days.max() <= date(2024, 6, 30)
    assert days.min() < date(2022, 7, 10)
    assert app.events["event_at"].dt.date.max() == app.observed_until
    stays = simulate_app(3_000, seed=3)
    # The same users but for their days: channels, hidden types and wealth are those of the steady world.
    pd.testing.assert_frame_equal(app.truth.users, stays.truth.users)
    assert app.users["channel"].equals(stays.users["channel"])


def test_balances_are_what_came_in_less_what_went_out(app: SimulatedApp) -> None:
    events = app.events
    moves = events[events["kind"].isin(["invest", "redeem"])]
    total = signed(moves).groupby(moves["user_id"]).cumsum()
    expected = pd.DataFrame({"user_id": moves["user_id"], "date": moves["event_at"].dt.normalize(), "cents": total})
    expected = expected.drop_duplicates(["user_id", "date"], keep="last").reset_index(drop=True)
    balances = app.balances
    assert (total >= 0).all()
    assert balances["user_id"].tolist() == expected["user_id"].tolist()
    assert (balances["date"].to_numpy() == expected["date"].to_numpy()).all()
    assert (balances["balance"] * 100).round().astype("int64").tolist() == expected["cents"].tolist()


def test_amounts_and_products_stand_where_they_belong(app: SimulatedApp) -> None:
    events = app.events
    assert set(events["kind"]) == {"login", "invest", "redeem"}
    assert events["amount"].isna().equals(events["kind"] == "login")
    assert events["product"].notna().equals(events["kind"] == "invest")
    assert events.loc[events["kind"] == "invest", "amount"].min() >= 100
    day = [events["user_id"], events["event_at"].dt.normalize()]
    assert (events.groupby(day).size() > 1).mean() > 0.5  # several events a day


def test_gaps_of_the_truth_are_those_of_the_log(app: SimulatedApp) -> None:
    events, users = app.events, app.users
    active = events[events["kind"].isin(["login", "invest"])]
    days = pd.concat(
        [
            pd.DataFrame({"user_id": active["user_id"], "day": active["event_at"].dt.normalize()}),
            pd.DataFrame({"user_id": users["user_id"], "day": users["registered_at"].dt.normalize()}),
        ]
    )
    days = days.drop_duplicates().sort_values(["user_id", "day"]).reset_index(drop=True)
    after = days.groupby("user_id")["day"].shift(-1)
    gaps = app.truth.gaps
    assert gaps["user_id"].tolist() == days["user_id"].tolist()
    assert (gaps["start_date"].to_numpy() == days["day"].to_numpy().astype("datetime64[ms]")).all()
    assert (gaps["returned"] == after.notna()).all()
    length = (after.fillna(pd.Timestamp(app.observed_until)) - days["day"]).dt.days
    assert gaps["duration"].tolist() == length.tolist()
    assert (gaps["gap"] == gaps.groupby("user_id").cumcount() + 1).all()
    n_investments = (events["kind"] == "invest").groupby(events["user_id"]).sum()
    final = gaps.groupby("user_id")["n_investments"].last()
    assert n_investments.reindex(final.index, fill_value=0).tolist() == final.tolist()


def test_feedback_is_the_truth_of_a_part_of_the_departed(app: SimulatedApp) -> None:
    gaps, feedback = app.truth.gaps, app.feedback
    assert gaps["reason"].notna().equals(gaps["left"])
    away = gaps.assign(date=gaps["start_date"] + pd.to_timedelta(gaps["duration"], unit="D"))
    both = pd.merge_asof(
        feedback.sort_values("date"), away[["user_id", "start_date", "date", "duration", "left", "reason"]]
        .rename(columns={"date": "until"}).sort_values("start_date"),
        left_on="date", right_on="start_date", by="user_id",
    )  # fmt: skip
    assert (both["reason_x"] == both["reason_y"]).all()
    assert both["left"].all()
    assert (both["date"] <= both["until"]).all()
    assert ((both["date"] - both["start_date"]).dt.days > 30).all()
    long_away = gaps[gaps["left"] & (gaps["duration"] > 60)]
    assert abs(len(feedback) / len(long_away) - 0.35) < 0.03
    assert set(feedback["reason"]) == {"rigid", "frustrated", "policy", "natural"}


def test_registrations_crowd_in_the_campaign_week_and_the_holiday(app: SimulatedApp) -> None:
    users = app.users
    day = users["registered_at"].dt.normalize()
    spans = app.calendar.set_index("name")
    for name, least in (("spring", 0.06), ("holiday", 0.03)):
        inside = (day >= spans["first"][name]) & (day <= spans["last"][name])
        days = (spans["last"][name] - spans["first"][name]).days + 1
        assert inside.mean() > max(least, 5 * days / 1_095)
    won = users["campaign"] == "spring"
    assert ((day[won] >= spans["first"]["spring"]) & (day[won] <= spans["last"]["spring"])).all()


def test_costs_are_those_of_the_registrations() -> None:
    app = simulate_app(4_000, seed=8)
    costs, users = app.costs, app.users
    assert costs["n_users"].sum() == 4_000
    by_day = users.groupby([users["registered_at"].dt.normalize(), "channel"]).size()
    for _, row in costs.iloc[::97].iterrows():
        assert by_day[row["date"], row["channel"]] == row["n_users"]
    cost = {channel["name"]: channel["cost"] for channel in app.truth.parameters["channels"]}
    others = costs[costs["channel"] != "distribution"]
    assert np.allclose(others["amount"], others["n_users"] * others["channel"].map(cost))
    reward = costs[costs["channel"] == "distribution"].set_index("date")
    assert set(reward["kind"]) == {"progressive reward"}
    first, last = app.calendar.set_index("name").loc["spring", ["first", "last"]]
    # Eight referrers, and more than eight users a day: on the k-th day of the week nearly all earn 2k - 1 or more.
    week = reward.loc[first:last]
    assert (week["n_users"] > 8).all()
    assert week["amount"].iloc[-1] > 3 * week["amount"].iloc[0]
    assert reward["amount"].sum() > 1.2 * reward["n_users"].clip(upper=8).sum()


def test_a_referrer_earns_1_3_5_until_a_day_without() -> None:
    from dataclasses import replace

    from churnsurv.simulation.people import draw_people
    from churnsurv.simulation.records import Ledger

    world = simulate_app(10)._world
    people = draw_people(world, np.arange(1, 7))
    # One referrer (fewer than 1,000 users); two users on day 11.
    chosen = replace(people, channel=np.array([2, 2, 2, 2, 2, 0]), day=np.array([10, 11, 11, 12, 14, 13]))
    ledger = Ledger(world, 10)
    ledger.add(chosen)
    table = ledger.table().to_pylist()
    assert [float(row["amount"]) for row in table] == [1, 3, 5, 0, 1]
    assert [row["n_users"] for row in table] == [1, 2, 1, 1, 1]


def test_the_log_takes_everything(app: SimulatedApp) -> None:
    assert app.log is app.log
    assert app.log.counts["events_rejected"] == app.log.counts["users_rejected"] == 0
    assert app.log.check().ok
    assert (app.log.observed_from, app.log.observed_until) == (app.observed_from, app.observed_until)
    spells = app.log.churn_spells(features=["max_amount", "n_investments", "balance", "ever_boosted"], baseline_day=30)
    table = spells.table
    gaps = app.truth.gaps.merge(app.users[["user_id", "registered_at"]], on="user_id")
    by_then = gaps[(gaps["start_date"] - gaps["registered_at"].dt.normalize()).dt.days <= 30]
    state = by_then.groupby("user_id")[["balance", "n_investments"]].last().loc[table["user_id"]]
    assert table["n_investments"].tolist() == state["n_investments"].tolist()
    assert np.allclose(table["balance"].astype(float).fillna(0.0), state["balance"])


def test_tables_are_fresh(app: SimulatedApp) -> None:
    users = app.users
    users["channel"] = "changed"
    assert "changed" not in set(app.users["channel"])
    assert "steady" in repr(app)
    said = repr(app.truth)
    assert "20,000 users, scenario steady, seed 11, 5 channels" in said
    assert "2 campaigns, 0 shocks" in said
    assert "\n" not in said


@pytest.mark.parametrize(("n_users", "seed"), [(0, 0), (-5, 0), (2.5, 0), (True, 0), (10, -1), (10, None)])
def test_numbers_that_are_none_are_refused(n_users: object, seed: object) -> None:
    with pytest.raises(ch.InputError, match="must be a whole number"):
        simulate_app(n_users, seed)  # type: ignore[arg-type]


DAYS = (date(2024, 1, 1), date(2024, 2, 1))
CONTROL = Arm("none", 0.5)


def campaign(*arms: Arm, idle_days: object = (30,), name: str = "a", **settings: object) -> dict[str, object]:
    asked = {"first": DAYS[0], "last": DAYS[1], **({"arms": arms} if arms else {}), **settings}
    return {"campaigns": [Campaign(name, idle_days, **asked)]}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scenario": "stedy"}, "Did you mean 'steady'"),
        ({"scenario": ["steady"]}, "scenario is one of 'steady', 'drift'"),
        ({"campaigns": ["recall"]}, "campaigns is a list of Campaign"),
        ({"campaigns": None}, r"\(\) for none; it is None"),
        ({"campaigns": "recall"}, "it is 'recall'"),
        ({"shocks": Shock(*DAYS, 2.0)}, "shocks is a list of Shock"),
        ({"shocks": [Shock(*DAYS, 2.0, reason="polcy")]}, "Did you mean 'policy'"),
        ({"shocks": [Shock(*DAYS, 2.0, channels=("invitatoin",))]}, "Did you mean 'invitation'"),
        ({"shocks": [Shock(*DAYS, 2.0, channels="invitation")]}, r"such as \('invitation',\)"),
        ({"shocks": [Shock(DAYS[1], DAYS[0], 2.0)]}, "first day not after its last"),
        ({"shocks": [Shock(date(2021, 1, 1), date(2021, 2, 1), 2.0)]}, "outside the log, which goes from 2022-07-01"),
        ({"shocks": [Shock("2024-01-01", DAYS[1], 2.0)]}, "are days, such as"),
        ({"shocks": [Shock(datetime(2024, 1, 1), DAYS[1], 2.0)]}, "are days, such as"),
        ({"shocks": [Shock(*DAYS, float("inf"))]}, "factor must be a number of at least 0"),
        ({"shocks": [Shock(*DAYS, -1.0)]}, "factor must be a number of at least 0"),
        ({"problems": [Problem("login", 0.1, 2.0)]}, "kind of its own"),
        ({"problems": [Problem("crash", 0.1, float("nan"))]}, "a factor of at least 0"),
        ({"problems": [Problem("crash", 0.1, 2.0), Problem("crash", 0.1, 3.0)]}, "Two problems are called 'crash'"),
        ({"problems": [Problem("crash", 0.6, 2.0), Problem("lag", 0.5, 2.0)]}, "add up to 1"),
        (campaign(idle_days=(0,)), "at least 1"),
        (campaign(idle_days=(10.5,)), "at least 1"),
        (campaign(idle_days=30), "at least 1"),
        (campaign(share=1.5), "share is a probability"),
        (campaign(first=date(2026, 1, 1), last=date(2026, 2, 1)), "outside the log"),
        (campaign(CONTROL), "add up to 1; they add up to 0.5"),
        (campaign(CONTROL, CONTROL), "two arms are called 'none'"),
        (campaign(Arm("sms", 1.0, 0.1)), "control"),
        (campaign(CONTROL, Arm("b", 0.5, 0.1, then="c")), "follows"),
        (campaign(CONTROL, Arm("b", 0.5, 0.1, then="b", after=0)), "follows"),
        (campaign(CONTROL, Arm("b", 0.5, 1.1)), "probabilities"),
        (campaign(CONTROL, Arm("b", 0.5, 0.1, cost=-1.0)), "cost of 'b'"),
        ({"campaigns": [Campaign("a", (30,), *DAYS), Campaign("b", (20,), *DAYS)]}, "in the order of idle days"),
        ({"campaigns": [Campaign("a", (20,), *DAYS), Campaign("a", (40,), *DAYS)]}, "Two campaigns are called 'a'"),
        ({"campaigns": [Campaign(f"c{i}", (40 * i + 1,), *DAYS) for i in range(9)]}, "too many"),
    ],
)
def test_what_cannot_be_simulated_is_said(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ch.InputError, match=message):
        simulate_app(10, **settings)  # type: ignore[arg-type]


def test_shocks_may_come_from_a_generator_and_begin_before_the_log() -> None:
    shocks = [Shock(date(2022, 1, 1), date(2025, 1, 1), 5.0), Shock(date(2025, 6, 1), date(2026, 1, 1), 5.0)]
    app = simulate_app(200, shocks=(each for each in shocks))  # type: ignore[arg-type]
    assert len(app.truth.parameters["shocks"]) == 2
    pd.testing.assert_frame_equal(app.truth.gaps, simulate_app(200, shocks=shocks).truth.gaps)
    assert app.truth.gaps["left"].mean() > simulate_app(200).truth.gaps["left"].mean()
