"""The simulated app is what its law says, and is the same for the same seed."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import churnsurv as ch
from churnsurv.simulate import CAMPAIGN_WEEK, FIRST_DAY, IDLE_DAYS, LAST_DAY, WINDOW_DAYS, SimulatedApp, simulate_app


@pytest.fixture(scope="module")
def app() -> SimulatedApp:
    return simulate_app(20_000, seed=11)


def days(times: pd.Series) -> np.ndarray:
    return (times.dt.normalize() - pd.Timestamp(FIRST_DAY)).dt.days.to_numpy()


def active_days(app: SimulatedApp) -> pd.DataFrame:
    """Distinct active days of each user, registration among them, with the gap to the next one."""
    events, users = app.events, app.users
    active = events[events["kind"].isin(["login", "invest"])]
    table = pd.concat(
        [
            pd.DataFrame({"user_id": active["user_id"], "day": days(active["event_at"])}),
            pd.DataFrame({"user_id": users["user_id"], "day": days(users["registered_at"])}),
        ]
    )
    table = table.drop_duplicates().sort_values(["user_id", "day"])
    return table.assign(gap=table.groupby("user_id")["day"].shift(-1) - table["day"])


def first_spells(app: SimulatedApp) -> pd.DataFrame:
    """Duration and churn of first spells, found without the package."""
    table = active_days(app)
    ends = table[table["gap"].isna() | (table["gap"] > IDLE_DAYS)].drop_duplicates("user_id").set_index("user_id")
    users = app.users.set_index("user_id")
    origin = pd.Series(days(users["registered_at"]), index=users.index)
    last = ends["day"].reindex(users.index)
    churned = last + IDLE_DAYS <= WINDOW_DAYS - 1
    end = np.where(churned, last + IDLE_DAYS, WINDOW_DAYS - 1)
    return users.assign(duration=end - origin, churned=churned)


def test_the_window_is_what_it_says(app: SimulatedApp) -> None:
    assert (LAST_DAY - FIRST_DAY).days + 1 == WINDOW_DAYS
    times = pd.concat([app.events["event_at"], app.users["registered_at"]])
    assert days(times).min() >= 0
    assert days(times).max() <= WINDOW_DAYS - 1


def test_no_event_comes_before_its_registration(app: SimulatedApp) -> None:
    both = app.events.merge(app.users, on="user_id", validate="many_to_one")
    assert len(both) == len(app.events)
    assert (both["event_at"] > both["registered_at"]).all()


def test_about_eleven_events_a_user(app: SimulatedApp) -> None:
    assert 10 < len(app.events) / app.n_users < 12


def test_nobody_churns_before_day_31_and_no_day_takes_a_large_part(app: SimulatedApp) -> None:
    spells = first_spells(app)
    churned = spells.loc[spells["churned"], "duration"]
    assert churned.min() == IDLE_DAYS + 1
    assert churned.value_counts().max() < 0.1 * len(spells)


def test_survival_is_the_stated_law(app: SimulatedApp) -> None:
    spells = first_spells(app)
    followed = WINDOW_DAYS - 1 - days(app.users["registered_at"])
    for time in (31, 45, 90, 150):
        assert (followed >= time).all()
        truth = app.true_survival([time]).set_index("group")["survival"]
        seen = (spells["duration"] > time).groupby(spells["channel"]).mean()
        error = np.sqrt(truth * (1 - truth) / spells["channel"].value_counts())
        z = (seen - truth) / error
        assert z.abs().max() < 4, (time, z)
    assert app.truth["survival_90"] == app.true_survival([90]).set_index("group")["survival"].to_dict()


def test_returns_come_after_more_than_30_idle_days_and_as_often_as_stated(app: SimulatedApp) -> None:
    table = active_days(app)
    after = table[table["gap"] > IDLE_DAYS]
    assert len(after) > 1_000
    # Those who left early are followed over a year: nearly all returns are seen.
    last = table.groupby("user_id")["day"].transform("max")
    early = table[(table["gap"] > IDLE_DAYS) | table["day"].eq(last)]
    early = early[early["day"] < 100].drop_duplicates("user_id")
    share = early["gap"].notna().mean()
    expected = app.truth["return_share"]
    assert abs(share - expected) < 4 * np.sqrt(expected * (1 - expected) / len(early)) + 0.01


def test_registrations_crowd_in_the_campaign_week(app: SimulatedApp) -> None:
    users = app.users
    day = days(users["registered_at"])
    week = (day >= CAMPAIGN_WEEK[0]) & (day < CAMPAIGN_WEEK[1])
    assert week[(users["campaign"] == "spring").to_numpy()].all()
    assert 0.08 < week.mean() < 0.2


def test_balances_never_fall_below_zero_and_follow_the_amounts(app: SimulatedApp) -> None:
    balances, events = app.balances, app.events
    assert (balances["balance"] >= 0).all()
    signed = events["amount"].where(events["kind"] == "invest", -events["amount"]).fillna(0.0)
    last = balances.groupby("user_id")["balance"].last()
    pd.testing.assert_series_equal(
        last, signed.groupby(events["user_id"]).sum().reindex(last.index), check_names=False, atol=1e-6, rtol=0
    )
    assert not balances.duplicated(["user_id", "date"]).any()


def test_amounts_and_products_stand_where_they_belong(app: SimulatedApp) -> None:
    events = app.events
    assert events["amount"].isna().equals(events["kind"] == "login")
    assert events["product"].notna().equals(events["kind"] == "invest")
    assert events.loc[events["kind"] != "login", "amount"].min() >= 100


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        simulate_app(3_000, seed=5).write(tmp_path / name)
    simulate_app(3_000, seed=6).write(tmp_path / "c")
    for file in ("users.parquet", "events.parquet"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
        assert (tmp_path / "a" / file).read_bytes() != (tmp_path / "c" / file).read_bytes()
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["events.parquet", "users.parquet"]


def test_parts_make_one_app(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("churnsurv.simulate._CHUNK", 400)
    app = simulate_app(1_000, seed=2)
    assert app.users["user_id"].tolist() == list(range(1, 1_001))
    app.write(tmp_path)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "users.parquet"), app.users)
    written = pd.read_parquet(tmp_path / "events.parquet")
    pd.testing.assert_frame_equal(written.astype({"kind": "object"}), app.events.astype({"kind": "object"}))


def test_a_failed_write_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("churnsurv.simulate._draw_events", fail)
    with pytest.raises(OSError, match="disk full"):
        simulate_app(10).write(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_tables_are_fresh_and_the_log_is_one(app: SimulatedApp) -> None:
    users = app.users
    users["channel"] = "changed"
    assert "changed" not in set(app.users["channel"])
    assert app.log is app.log
    with pytest.raises(TypeError):
        app.truth["idle_days"] = 3  # type: ignore[index]


@pytest.mark.parametrize(("n_users", "seed"), [(0, 0), (-5, 0), (2.5, 0), (True, 0), (10, -1), (10, None)])
def test_what_cannot_be_simulated_is_said(n_users: object, seed: object) -> None:
    with pytest.raises(ch.InputError, match="must be a whole number"):
        simulate_app(n_users, seed)  # type: ignore[arg-type]


def test_spells_of_the_log_are_those_found_without_it(app: SimulatedApp) -> None:
    expected = first_spells(app).reset_index()
    found = app.log.churn_spells().table
    assert found["user_id"].tolist() == expected["user_id"].tolist()
    assert found["duration"].tolist() == expected["duration"].tolist()
    assert found["churned"].tolist() == expected["churned"].tolist()
    assert app.log.counts["events_rejected"] == 0
    assert app.log.counts["users"] == app.n_users


def test_cox_recovers_the_hazard_ratios(app: SimulatedApp) -> None:
    fit = ch.cox(app.truth["formula"], app.log.churn_spells(), reference=app.truth["reference"])
    table = fit.table.set_index("term")
    truth = np.log(pd.Series(app.truth["hazard_ratios"]))
    assert set(table.index) == set(truth.index)
    assert ((table["estimate"] - truth) / table["std_error"]).abs().max() < 4


def test_intervals_cover_the_hazard_ratios() -> None:
    covered = []
    for seed in range(40):
        app = simulate_app(1_500, seed=1_000 + seed)
        table = ch.cox("channel + campaign + device", app.log.churn_spells(), reference=app.truth["reference"]).table
        truth = np.log(table["term"].map(app.truth["hazard_ratios"]))
        covered += ((table["lower"] <= truth) & (truth <= table["upper"])).tolist()
    # 240 intervals at 95 %: fewer than 90 % or more than 99.5 % has a probability below 1 in 1,000.
    assert 0.9 <= np.mean(covered) <= 0.995


def test_behaviour_tells_nothing_about_churn(app: SimulatedApp) -> None:
    """The null world of the features, at the point where they may enter a model of churn."""
    spells = app.log.churn_spells(features=["n_investments", "max_amount"], baseline_day=30)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ch.ChurnsurvWarning)  # those who churn on the day of entry carry no risk
        table = ch.cox("n_investments + log1p(max_amount)", spells).table
    assert table["statistic"].abs().max() < 3.5
