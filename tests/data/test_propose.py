"""Two files looked at: columns found by name and content, clock, window, kinds, and the gaps behind the chart."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pandas as pd
import pytest

import churnsurv as ch
from churnsurv.data.propose import Proposal, engine_in, propose_study, require_one_file


@pytest.fixture(scope="module")
def app_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = ch.simulate_app(300, seed=4).write(tmp_path_factory.mktemp("app"))
    return folder / "events.parquet", folder / "users.parquet"


def files(folder: Path, events: pd.DataFrame, users: pd.DataFrame) -> tuple[Path, Path]:
    events.to_csv(folder / "events.csv", index=False)
    users.to_csv(folder / "users.csv", index=False)
    return folder / "events.csv", folder / "users.csv"


def foreign(n: int = 60) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tables whose columns have other names; each user is seen every five days for two months."""
    users = pd.DataFrame(
        {
            "no": range(n),
            "CustomerID": [f"c{i:03}" for i in range(n)],
            "Signup Date": ["2024-01-01"] * n,
            "birthday": ["1990-05-01"] * n,
            "source": ["web", "shop", "app"] * (n // 3),
            "note": [f"text {i}" for i in range(n)],
        }
    )
    days = pd.date_range("2024-01-01", "2024-03-01", freq="5D")
    events = pd.DataFrame(
        [
            (f"c{i:03}", day + pd.Timedelta(hours=9), "purchase", 10.5, "x" * (i % 30 + 1))
            for i in range(n)
            for day in days
        ],
        columns=["client", "When", "action", "price", "memo"],
    ).rename(columns={"When": "timestamp"})
    return events, users


def why(proposal: Proposal, topic: str) -> str:
    return dict(proposal.evidence)[topic]


def test_our_own_names_need_no_mapping(app_files: tuple[Path, Path]) -> None:
    proposal = propose_study(*app_files)
    assert proposal.columns == {"events": {}, "users": {}}
    assert proposal.kinds == ("login", "invest")
    assert proposal.groups == ("channel", "campaign", "device")
    assert proposal.observed_from is None
    assert proposal.observed_until == date(2025, 6, 29)
    assert "redeem" in why(proposal, "activity")
    assert "without a zone" in why(proposal, "event_at")


def test_the_gaps_are_those_between_active_days(app_files: tuple[Path, Path]) -> None:
    gaps = propose_study(*app_files).gaps
    log = ch.ActivityLog(*map(str, app_files), observed_until="2025-06-29")
    for days in (10, 30, 60):
        spells = log.with_rule(idle_days=days).churn_spells(spells="all")
        # A spell ends at a gap longer than the rule, or at the end of the log.
        returned = gaps[gaps["returned"] & (gaps["duration"] > days)]["n"].sum()
        ended = gaps[~gaps["returned"] & (gaps["duration"] >= days)]["n"].sum()
        assert returned + ended == spells.counts["churned"]
        assert returned == spells.counts["returned"]
    assert gaps.loc[~gaps["returned"], "n"].sum() == log.counts["users"]


def test_foreign_names_are_found_by_name_and_content(tmp_path: Path) -> None:
    proposal = propose_study(*files(tmp_path, *foreign()))
    assert proposal.columns["events"] == {
        "user_id": "client", "event_at": "timestamp", "kind": "action", "amount": "price",
    }  # fmt: skip
    assert proposal.columns["users"] == {"user_id": "CustomerID", "registered_at": "Signup Date"}
    assert proposal.kinds == ("purchase",)
    assert proposal.groups == ("source",)
    assert "'birthday'" in why(proposal, "registered_at")
    assert "100.0%" in why(proposal, "user_id")


def test_names_that_say_nothing_are_found_by_content_alone(tmp_path: Path) -> None:
    events, users = foreign()
    events = events.rename(columns={"client": "a", "timestamp": "b", "action": "c", "price": "d"})
    users = users.rename(columns={"CustomerID": "p", "Signup Date": "q"}).drop(columns="birthday")
    proposal = propose_study(*files(tmp_path, events, users))
    assert proposal.columns["users"] == {"user_id": "p", "registered_at": "q"}
    assert proposal.columns["events"] == {"user_id": "a", "event_at": "b"}
    assert proposal.kinds is None


def test_without_a_word_for_activity_every_event_counts(tmp_path: Path) -> None:
    events, users = foreign()
    proposal = propose_study(*files(tmp_path, events.assign(action="zzz"), users))
    assert proposal.kinds is None
    assert "every event" in why(proposal, "activity")


def test_a_log_that_begins_late_and_a_thin_end(tmp_path: Path) -> None:
    events, users = foreign()
    users["Signup Date"] = "2023-06-01"
    stray = events.tail(2).assign(timestamp=pd.Timestamp("2029-01-01 10:00"))
    proposal = propose_study(*files(tmp_path, pd.concat([events, stray]), users))
    assert proposal.observed_from == date(2024, 1, 1)
    assert "100.0% of users registered before" in why(proposal, "observed_from")
    assert proposal.observed_until == date(2024, 3, 1)
    assert "to 2029-01-01, have only 2 events" in why(proposal, "observed_until")


def test_times_with_a_zone_and_dates(tmp_path: Path) -> None:
    events, users = foreign()
    events["timestamp"] = events["timestamp"].dt.tz_localize("Asia/Shanghai")
    users["Signup Date"] = pd.to_datetime(users["Signup Date"]).dt.date
    events.to_parquet(tmp_path / "e.parquet")
    users.to_parquet(tmp_path / "u.parquet")
    proposal = propose_study(tmp_path / "e.parquet", tmp_path / "u.parquet")
    assert "times with a zone" in why(proposal, "event_at")
    assert "dates, taken as they stand" in why(proposal, "registered_at")


def test_files_that_do_not_belong_together(tmp_path: Path) -> None:
    events, users = foreign()
    users["CustomerID"] = "other " + users["CustomerID"]
    users = users.drop(columns="no")
    with pytest.raises(ch.InputError, match=r"EVENTS USERS.*|shares its values"):
        propose_study(*files(tmp_path, events, users))


def test_no_column_of_times(tmp_path: Path) -> None:
    events, users = foreign()
    events["timestamp"] = 1_700_000_000
    with pytest.raises(ch.InputError, match=r"no column of events\.csv holds dates.*'timestamp'"):
        propose_study(*files(tmp_path, events, users))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    users = files(tmp_path, *foreign())[1]
    with pytest.raises(ch.InputError, match="Did you mean"):
        propose_study(tmp_path / "event.csv", users)
    with pytest.raises(ch.InputError, match="no rows"):
        propose_study(*files(tmp_path, foreign()[0].head(0), foreign()[1]))


def test_two_files_of_one_name_are_not_mistaken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("study", "work"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "it's.csv").write_text("a\n1\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path / "work")
    query = "SELECT * FROM 'it''s.csv' WHERE CAST(a AS VARCHAR) <> 'x'"
    with pytest.raises(ch.InputError, match=r"it''s\.csv.*another file"):
        require_one_file(query, tmp_path / "study")
    require_one_file(query, tmp_path / "work")
    (tmp_path / "work/it's.csv").unlink()
    require_one_file(query, tmp_path / "study")
    with engine_in(tmp_path / "study") as engine:
        assert engine.sql(query).fetchall() == [(1,)]


def test_queries_start_from_the_folder(tmp_path: Path) -> None:
    files(tmp_path, *foreign())
    with engine_in(tmp_path) as engine:
        assert engine.sql("SELECT count(*) FROM 'users.csv'").fetchall() == [(60,)]
