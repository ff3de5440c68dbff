"""From two files to a study that runs: the chart, the file and what is tried before it is written."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pandas as pd
import pytest

import churnsurv as ch
from churnsurv.study import init_study
from churnsurv.study.init import returns_by_idle_day


def logs(folder: Path, *, n: int = 60, days: int = 120, **attributes: list[str]) -> tuple[Path, Path]:
    """Users of three kinds: seen every 3 days to the end, seen for 20 days, and seen again after 50 days."""
    start = pd.Timestamp("2024-01-01")
    users = pd.DataFrame({"user_id": range(n), "registered_at": [start + pd.Timedelta(days=i % 40) for i in range(n)]})
    users = users.assign(**attributes)
    visits = []
    for user, first in zip(users["user_id"], users["registered_at"], strict=True):
        until = {0: days, 1: 20, 2: 20}[user % 3]
        offsets = list(range(0, until, 3)) + ([70, 73] if user % 3 == 2 else [])
        visits += [(user, first + pd.Timedelta(days=day), "login") for day in offsets]
    events = pd.DataFrame(visits, columns=["user_id", "event_at", "kind"])
    events = events[events["event_at"] < start + pd.Timedelta(days=days)]
    events.to_csv(folder / "events.csv", index=False)
    users.to_csv(folder / "users.csv", index=False)
    return folder / "events.csv", folder / "users.csv"


def test_the_share_who_return_counts_gaps_as_long_as_they_are_seen() -> None:
    # Worked by hand: S(2) = 1 - 4/10; of the six left, one is cut off on day 5; S(8) = .6 (1 - 2/5).
    gaps = pd.DataFrame({"duration": [2, 5, 8, 30], "returned": [True, False, True, False], "n": [4, 1, 2, 3]})
    table = returns_by_idle_day(gaps, [1, 3, 6, 10, 40], 20).set_index("idle_days")
    assert table["reached"].tolist() == [10, 6, 5, 3, 0]
    assert table["share"].tolist()[:4] == pytest.approx([1 - 0.36, 1 - 0.36 / 0.6, 1 - 0.36 / 0.6, 0.0])
    assert pd.isna(table.loc[40, "share"])


def test_the_file_says_why_and_runs_as_it_is(tmp_path: Path) -> None:
    events, users = logs(tmp_path, channel=["web", "shop"] * 30)
    made = init_study(events, users, tmp_path / "study.toml")
    text = made.path.read_text(encoding="utf-8")
    document = tomllib.loads(text)
    assert document["sources"] == {"events": "events.csv", "users": "users.csv"}
    assert document["rule"]["activity"] == ["login"]
    assert document["groups"]["by"] == ["channel", "cohort"]
    assert document["cox"]["formula"] == "channel"
    for _, why in made.evidence:
        assert why.split()[0] in text
    result = ch.Study.from_toml(made.path).run()
    assert result.log.observed_until.isoformat() == str(document["window"]["observed_until"])


def test_a_model_that_cannot_be_fitted_is_left_out_with_the_reason(tmp_path: Path) -> None:
    # "fan" is exactly those who stay to the end: no model can put a number on them.
    events, users = logs(tmp_path, channel=["fan", "web", "shop"] * 20)
    made = init_study(events, users, tmp_path / "study.toml")
    assert "formula" not in tomllib.loads(made.path.read_text(encoding="utf-8"))["cox"]
    assert "fan" in dict(made.evidence)["Cox model"]
    assert ch.Study.from_toml(made.path).run().cox is None


def test_a_rule_under_which_somebody_churns(tmp_path: Path) -> None:
    events, users = logs(tmp_path, days=45)
    made = init_study(events, users, tmp_path / "study.toml")
    assert tomllib.loads(made.path.read_text(encoding="utf-8"))["rule"]["idle_days"] == 21
    assert "nobody churned under longer rules" in dict(made.evidence)["idle_days"]


def test_names_that_need_quotes(tmp_path: Path) -> None:
    events, users = logs(tmp_path, channel=['the "best"', "web", "shop\\2"] * 20)
    frame = pd.read_csv(users).assign(channel=['the "best"', "web", "shop\\2", "web"] * 15)
    frame.rename(columns={"registered_at": 'day "0"'}).to_csv(users, index=False)
    renamed = users.rename(tmp_path / "the users.csv")
    made = init_study(events, renamed, tmp_path / "study.toml")
    document = tomllib.loads(made.path.read_text(encoding="utf-8"))
    assert document["columns"]["users"] == {"registered_at": 'day "0"'}
    assert ch.Study.from_toml(made.path).check().ok
