"""A log as it was known at the end of a day: the same as a log in which nothing later was ever written down."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from churnsurv.data import ActivityLog
from churnsurv.data.engine_duckdb import DuckDBEngine
from churnsurv.errors import InputError
from tests.data.lives import FEATURES, IDLE, LAST, date_of, lives, plain
from tests.data.small import events_of, log_of, users_of


def day_of(number: int) -> date:
    return date_of(number).date()


@pytest.mark.parametrize(("seed", "day"), [(0, 31), (1, 44), (3, IDLE - 2), (4, LAST)])
def test_every_table_is_that_of_a_log_that_ends_there(seed: int, day: int) -> None:
    some = lives(seed, balances=seed % 2 == 0)
    known = some.log().as_of(day_of(day))
    short = some.until(day).log(observed_until=day_of(day))
    assert (known.observed_from, known.observed_until) == (short.observed_from, short.observed_until)
    for left_truncated in ("exclude", "assume_first_spell"):
        asked = {"spells": "all", "left_truncated": left_truncated}
        mine, theirs = known.churn_spells(**asked), short.churn_spells(**asked)
        pd.testing.assert_frame_equal(plain(mine.table), plain(theirs.table), check_exact=True)
        assert dict(mine.counts) == dict(theirs.counts)
    for mine, theirs in (
        (known.gaps(features=FEATURES), short.gaps(features=FEATURES)),
        (known.snapshot(day_of(day), features=FEATURES), short.snapshot(day_of(day), features=FEATURES)),
        (known.landmark_panel(horizon=2), short.landmark_panel(horizon=2)),
    ):
        pd.testing.assert_frame_equal(plain(mine.table), plain(theirs.table), check_exact=True)
        assert dict(mine.counts) == dict(theirs.counts)
    for count in ("users", "events", "other_kinds"):
        assert known.counts[count] == short.counts[count]


def test_sources_are_opened_once(monkeypatch: pytest.MonkeyPatch) -> None:
    log = lives(0).log()
    log.churn_spells()
    opened: list[str] = []
    register = DuckDBEngine.register

    def count(engine: DuckDBEngine, what: str, *rest: object) -> str:
        opened.append(what)
        return register(engine, what, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(DuckDBEngine, "register", count)
    monkeypatch.setattr("churnsurv.data.reading.read_users", None)
    known = log.as_of(day_of(20))
    assert known.churn_spells().counts["users"] > 5
    assert known.engine is log.engine
    assert opened == []


def test_the_whole_log_is_not_changed_by_the_question() -> None:
    log = lives(1).log()
    before = plain(log.churn_spells(spells="all").table)
    log.as_of(day_of(10)).churn_spells()
    pd.testing.assert_frame_equal(plain(log.churn_spells(spells="all").table), before)
    assert log.observed_until == day_of(LAST)


def test_it_keeps_rule_features_stages_and_can_be_asked_again() -> None:
    log = lives(1).log(features=["balance"])
    known = log.as_of(day_of(40)).as_of("2024-01-15")
    assert (known.rule, known.features, known.stages) == (log.rule, log.features, log.stages)
    assert known.observed_until == date(2024, 1, 15)
    assert known.snapshot("2024-01-15").table.columns[-1] == "balance"
    with pytest.raises(InputError, match=r"2024-02-01 lies outside the log, which covers 2024-01-01 to 2024-01-15"):
        known.as_of("2024-02-01")


def test_the_first_day_is_that_of_the_whole_log() -> None:
    # The first event lies after the day asked for; the log begins with the registration all the same.
    log = ActivityLog(events_of([(1, "2024-01-20"), (2, "2024-02-20")]), users_of({1: "2024-01-05", 2: "2024-01-01"}))
    known = log.as_of("2024-01-10")
    assert known.observed_from == log.observed_from == date(2024, 1, 1)
    assert known.churn_spells().table["duration"].tolist() == [5, 9]
    # Nobody was active yet, and yet nothing is wrong with the rule's kinds.
    assert known.snapshot("2024-01-10").table["idle_days"].tolist() == [5, 9]


@pytest.mark.parametrize("day", ["2023-12-31", "2024-03-01"])
def test_days_that_the_log_does_not_cover(day: str) -> None:
    log = log_of({1: "2024-01-01"}, [(1, "2024-02-29")])
    with pytest.raises(InputError, match=rf"{day} lies outside the log, which covers 2024-01-01 to 2024-02-29"):
        log.as_of(day)


def test_a_spell_that_ends_in_churn_is_open_until_the_day_of_churn() -> None:
    log = log_of({1: "2024-01-01"}, [(1, "2024-02-20")], idle_days=10)
    open_, closed, back = (
        log.as_of(day).churn_spells(spells="all").table for day in ("2024-01-10", "2024-01-11", "2024-02-20")
    )
    assert open_[["duration", "churned"]].to_numpy().tolist() == [[9, False]]
    assert closed[["duration", "churned"]].to_numpy().tolist() == [[10, True]]
    assert back["spell"].tolist() == [1, 2]
    assert np.isin([1, 2], log.churn_spells(spells="all").table["spell"]).all()
