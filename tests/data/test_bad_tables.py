"""Tables as they come: damaged files, mixed zones, clocks that run ahead, ids of two types, runs that are killed."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from churnsurv.data import ActivityLog, Engine, connect
from churnsurv.errors import InputError, SchemaError
from churnsurv.study import Study
from tests.data.small import events_of, log_of, spells_of, users_of

# ---------------------------------------------------------------------------------------- damaged files among good ones


def busy_events(n: int = 6_000, days: int = 200, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "user_id": rng.integers(1, 100, n),
            "event_at": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, days * 86_400, n), unit="s"),
            "kind": rng.choice(["login", "invest"], n),
            "amount": rng.lognormal(5, 1, n),
        }
    )


BUSY_USERS = users_of(dict.fromkeys(range(1, 100), "2024-01-01"))


def three_files(folder: Path) -> tuple[str, bytes]:
    """Events in three Parquet files: their glob, and the bytes of the second."""
    events = busy_events()
    for part in range(3):
        events.iloc[part::3].to_parquet(folder / f"events-{part}.parquet")
    return str(folder / "events-*.parquet"), (folder / "events-1.parquet").read_bytes()


def noise(length: int) -> bytes:
    return np.random.default_rng(2).integers(0, 256, length, dtype=np.uint8).tobytes()


DAMAGES = {
    "cut": lambda whole: whole[: len(whole) // 2],
    "empty": lambda _: b"",
    "another format": lambda _: b"user_id,event_at,kind\n" * 20,
    "footer": lambda whole: whole[:-60] + b"\xff" * 40 + whole[-20:],
    "length of the footer": lambda whole: whole[:-8] + b"\xff\xff\xff\x0f" + whole[-4:],
    "pages": lambda whole: whole[:4] + noise(len(whole) - 3_004) + whole[-3_000:],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_among_good_ones_is_named(damage: str, tmp_path: Path) -> None:
    """Also where the engine finds it only in the middle of an answer: there is no answer from the other files."""
    events, whole = three_files(tmp_path)
    (tmp_path / "events-1.parquet").write_bytes(DAMAGES[damage](whole))
    log = ActivityLog(events, BUSY_USERS)
    for question in (log.churn_spells, log.churn_spells, lambda: log.counts, log.gaps):
        with pytest.raises(InputError, match=r"events-1\.parquet"):
            question()
    problems = [problem for problem in log.check().problems if problem.severity == "error"]
    assert [(problem.table, problem.problem) for problem in problems] == [("events", "cannot_be_read")]
    assert "events-1.parquet" in problems[0].advice
    assert "events-0.parquet" not in problems[0].advice
    (tmp_path / "events-1.parquet").write_bytes(whole)
    assert ActivityLog(events, BUSY_USERS).counts["events"] == 6_000


@pytest.mark.parametrize(
    "change",
    [
        lambda part: part.rename(columns={"event_at": "when"}),
        lambda part: part.drop(columns="amount"),
        lambda part: part.assign(user_id=part["user_id"].astype(str) + "x"),
    ],
)
def test_a_file_of_another_layout_is_named(change: Any, tmp_path: Path) -> None:
    events, _ = three_files(tmp_path)
    change(pd.read_parquet(tmp_path / "events-1.parquet")).to_parquet(tmp_path / "events-1.parquet")
    with pytest.raises(InputError, match=r"events-1\.parquet"):
        ActivityLog(events, BUSY_USERS).churn_spells()


# ------------------------------------------------------------------------------------- mixed zones in one column

UTC = dt.timezone.utc  # noqa: UP017


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """One engine for many small logs."""
    with connect() as shared:
        yield shared


def active_days(engine: Engine, moments: Any, time_zone: str, timestamps: str = "UTC") -> list[int]:
    """Days of January with activity."""
    events = pd.DataFrame({"user_id": 1, "event_at": moments, "kind": "login"})
    log = ActivityLog(
        events,
        users_of({1: "2024-01-01"}),
        time_zone=time_zone,
        timestamps=timestamps,
        observed_from="2024-01-01",
        observed_until="2024-03-01",
        engine=engine,
    )
    assert log.rejects.empty, log.rejects
    return log.gaps(features=()).table["start_date"].dt.day.tolist()[1:]  # but the first, the registration


OFFSETS = [
    "2024-01-05 23:30:00+08:00",
    "2024-01-09 23:30:00-05:00",
    "2024-01-13T23:30:00Z",
    "2024-01-17 02:00:00 +0530",
]
#: Days in the zone: in UTC 5th 15:30, 10th 04:30, 13th 23:30, 16th 20:30.
DAYS = {"UTC": [5, 10, 13, 16], "Asia/Shanghai": [5, 10, 14, 17], "America/New_York": [5, 9, 13, 16]}


@pytest.mark.parametrize("time_zone", DAYS)
def test_text_with_different_offsets_is_read_row_by_row(engine: Engine, time_zone: str) -> None:
    assert active_days(engine, OFFSETS, time_zone) == DAYS[time_zone]
    assert active_days(engine, OFFSETS[::-1], time_zone) == DAYS[time_zone]


@pytest.mark.parametrize("time_zone", DAYS)
def test_objects_with_different_zones_are_read_one_by_one(engine: Engine, time_zone: str) -> None:
    moments = [dt.datetime.fromisoformat(text.replace(" +05", "+05").replace("Z", "+00:00")) for text in OFFSETS]
    assert active_days(engine, pd.Series(moments, dtype=object), time_zone) == DAYS[time_zone]
    assert active_days(engine, pd.Series(moments[::-1], dtype=object), time_zone) == DAYS[time_zone]
    stamps = [pd.Timestamp(moment) for moment in moments]
    stamps[0] = pd.Timestamp("2024-01-05 23:30", tz=ZoneInfo("Asia/Shanghai"))
    assert active_days(engine, pd.Series(stamps, dtype=object), time_zone) == DAYS[time_zone]


AWARE = dt.datetime(2024, 1, 6, 23, 30, tzinfo=UTC)  # the 7th in Shanghai
NAIVE = dt.datetime(2024, 1, 10, 23, 30)
DATE = dt.date(2024, 1, 20)
MIXED: dict[str, list[Any]] = {
    "with zone, without": [AWARE, NAIVE],
    "with zone, date": [AWARE, DATE],
    "date, without zone": [DATE, NAIVE],
    "all three": [AWARE, NAIVE, DATE],
    "text among them": ["2024-01-20", AWARE, NAIVE],
    "stamps": [pd.Timestamp(AWARE), pd.Timestamp(NAIVE)],
}
#: Day of each of them, by (time_zone, timestamps).
READ = {
    ("Asia/Shanghai", "Asia/Shanghai"): {"aware": 7, "naive": 10, "date": 20},
    ("Asia/Shanghai", "UTC"): {"aware": 7, "naive": 11, "date": 20},
    ("UTC", "America/Chicago"): {"aware": 6, "naive": 11, "date": 20},
}


@pytest.mark.parametrize("zones", READ)
@pytest.mark.parametrize("mix", MIXED)
def test_a_column_of_dates_and_times_with_and_without_zone(engine: Engine, mix: str, zones: tuple[str, str]) -> None:
    """The first value must not decide how the others are read."""

    def expected(value: Any) -> int:
        if isinstance(value, str) or not isinstance(value, dt.datetime):
            return READ[zones]["date"]
        return READ[zones]["naive" if value.tzinfo is None else "aware"]

    values = MIXED[mix]
    for order in (values, values[::-1]):
        assert active_days(engine, pd.Series(order, dtype=object), *zones) == sorted(map(expected, values))


# ------------------------------------------------------------------------------------------- clocks that run ahead


def busy(days: int = 60, per_day: int = 40) -> list[tuple[Any, ...]]:
    start = dt.date(2024, 1, 1)
    return [(user % 50, str(start + dt.timedelta(days=day))) for day in range(days) for user in range(per_day)]


def future_log(strays: list[tuple[Any, ...]], **settings: Any) -> ActivityLog:
    return log_of(dict.fromkeys(range(50), "2024-01-01"), [*busy(), *strays], **settings)


STRAYS = {
    "one far away": ([(1, "2099-01-01")], "error"),
    "of nobody": ([(777, "2099-01-01")], "error"),
    "many, on many days": ([(i % 50, f"20{30 + i // 12}-{1 + i % 12:02d}-03") for i in range(60)], "error"),
    "a rule away": ([(1, "2024-04-15"), (2, "2024-04-02")], "error"),
    "some days away": ([(1, "2024-03-12"), (2, "2024-03-09")], "warning"),
}


@pytest.mark.parametrize("case", STRAYS)
def test_events_of_the_future_are_told_of(case: str) -> None:
    """The window would end with them, and everybody would look idle until then."""
    strays, severity = STRAYS[case]
    (stray,) = (problem for problem in future_log(strays).check().problems if problem.problem == "stray_late_events")
    assert stray.severity == severity
    assert "perhaps '2024-02-29'" in stray.advice
    assert stray.n_rows == (0 if case == "of nobody" else len(strays))
    assert stray.example == max(day for _, day in strays)


@pytest.mark.parametrize("case", STRAYS)
def test_a_stated_end_leaves_them_out(case: str) -> None:
    strays, _ = STRAYS[case]
    log = future_log(strays, observed_until="2024-02-29")
    assert log.check().ok
    assert not [each for each in log.check().problems if each.problem == "stray_late_events"]
    assert log.counts["outside_window"] == (0 if case == "of nobody" else len(strays))
    assert spells_of(log) == spells_of(future_log([]))
    for table in (log.history(features=["n_investments"]), log.gaps(features=["n_investments"])):
        assert table.table["n_investments"].max() == 0
    assert spells_of(future_log(strays)) != spells_of(log), "without the stated end they do change everything"


def test_a_log_without_strays_is_left_alone() -> None:
    assert not [each for each in future_log([]).check().problems if each.problem == "stray_late_events"]
    quiet = [(user, f"2024-0{month}-0{day}") for month in range(1, 7) for day in (1, 2) for user in range(50)]
    log = log_of(dict.fromkeys(range(50), "2024-01-01"), quiet)
    assert not [each for each in log.check().problems if each.problem == "stray_late_events"]
    long = [(user, str(dt.date(2010, 1, 1) + dt.timedelta(days=day))) for day in range(3_000) for user in range(2)]
    log = log_of(dict.fromkeys(range(50), "2010-01-01"), long)
    assert not [each for each in log.check().problems if each.problem == "stray_late_events"]


def test_a_study_stops_at_events_of_the_future(tmp_path: Path) -> None:
    events_of([*busy(), (1, "2099-01-01")]).to_parquet(tmp_path / "events.parquet")
    users_of(dict.fromkeys(range(50), "2024-01-01")).to_parquet(tmp_path / "users.parquet")
    text = '[sources]\nevents = "events.parquet"\nusers = "users.parquet"\n'
    (tmp_path / "study.toml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"(?s)cannot run.*2099-01-01.*observed_until.*2024-02-29"):
        Study.from_toml(tmp_path / "study.toml").run()


def test_users_registered_in_the_future_are_rejects() -> None:
    log = log_of({1: "2024-01-01", 2: "2099-01-01"}, [(1, "2024-03-01"), (2, "2024-02-01")])
    assert log.rejects["reason"].tolist() == ["registered_after_window", "before_registration"]
    assert log.observed_until == dt.date(2024, 3, 1)


# ------------------------------------------------------------------------- a user id of one type here, of another there

IDS: dict[str, Any] = {
    "integer": [1, 2, 30],
    "unsigned": np.array([1, 2, 30], dtype="uint64"),
    "float": [1.0, 2.0, 30.0],
    "text": ["1", "2", "30"],
    "category": pd.Categorical(["30", "1", "2"], categories=["30", "2", "1"]),
    "mixed": pd.Series([1, "2", 30], dtype=object),
    "padded": ["001", "002", "030"],
    "spaces": [" 1", "2 ", "30"],
    "decimals": ["1.0", "2.0", "30.0"],
    "letters": ["u1", "u2", "u30"],
}
WHOLE = ("integer", "unsigned", "float")
#: Texts that are not the text of a whole number: two of them may be one number, or none.
OTHER_TEXT = ("padded", "spaces", "decimals", "letters")


def log_with_ids(engine: Engine, users: str, events: str) -> ActivityLog:
    return ActivityLog(
        pd.DataFrame({"user_id": IDS[events], "event_at": "2024-01-10", "kind": "login"}),
        pd.DataFrame({"user_id": IDS[users], "registered_at": "2024-01-01"}),
        observed_until="2024-03-01",
        engine=engine,
    )


@pytest.mark.parametrize("events", ["integer", "text", "mixed", "padded"])
@pytest.mark.parametrize("users", IDS)
def test_ids_meet_without_loss_or_are_refused(engine: Engine, users: str, events: str) -> None:
    """Never a user who lost all events in silence, and so would look churned."""
    log = log_with_ids(engine, users, events)
    whole = [each for each in (users, events) if each in WHOLE]
    other = [each for each in (users, events) if each in OTHER_TEXT]
    if whole and other:
        with pytest.raises(SchemaError, match=r"'user_id' is text with \d values that are no plain whole numbers"):
            log.churn_spells()
        return
    table = log.churn_spells().table
    texts = [set(map(str, IDS[each])) for each in (users, events)]
    if whole:
        assert table["user_id"].tolist() == [1, 2, 30]
    else:
        assert set(table["user_id"]) == texts[0]
    met = 3 if whole else len(texts[0] & texts[1])
    assert (table["duration"] == 39).sum() == met
    assert log.rejects["reason"].tolist() == ["unknown_user"] * (3 - met)


def test_ids_of_which_none_meet_are_an_error_of_the_check(engine: Engine) -> None:
    """Text is compared as it stands; that nobody has an event is told, and stops a study."""
    (problem,) = (each for each in log_with_ids(engine, "text", "padded").check().problems if each.severity == "error")
    assert (problem.table, problem.problem, problem.n_rows) == ("events", "unknown_user", 3)
    (problem,) = (
        each for each in log_with_ids(engine, "padded", "integer").check().problems if each.severity == "error"
    )
    assert problem.problem == "mismatched_ids"


def test_missing_float_ids_do_not_make_text_of_the_others() -> None:
    events = pd.DataFrame({"user_id": [1.0, np.nan, 30.0], "event_at": "2024-01-10", "kind": "login"})
    log = ActivityLog(events, users_of({"1": "2024-01-01", "30": "2024-01-01"}), observed_until="2024-03-01")
    assert log.churn_spells().table[["user_id", "duration"]].to_numpy().tolist() == [[1, 39], [30, 39]]
    assert log.rejects["reason"].tolist() == ["missing_user_id"]


# -------------------------------------------------------------------------------------------------- a killed run


def killed_at_every_moment(what: str, folder: Path) -> dict[str, Any]:
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "tests.killed", what, str(folder)],
        cwd=root, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


can_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL, which this system has not")


@can_fork
@pytest.mark.parametrize("what", ["report", "first report"])
def test_a_killed_report_is_the_old_one_or_the_new_one(what: str, tmp_path: Path) -> None:
    """Killed before each touch of the file system: never a half report, and nothing is left once one is written."""
    answer = killed_at_every_moment(what, tmp_path / "report")
    before = "old" if what == "report" else "nothing"
    assert set(answer["found"]) == {before, "new"}
    assert sum(answer["found"].values()) == answer["moments"] > 15
    assert answer["at_the_end"] == "new"
    assert answer["beside"] == ["report"]


@can_fork
def test_a_killed_app_is_the_old_one_the_new_one_or_not_whole(tmp_path: Path) -> None:
    """Six files can't change in one step; but files of one app never stand beside those of another."""
    answer = killed_at_every_moment("app", tmp_path / "app")
    assert set(answer["found"]) <= {"old", "new", "nothing"}
    assert {"old", "new"} <= set(answer["found"])
    assert answer["at_the_end"] == "new"
    names = ("balances", "campaigns", "costs", "events", "feedback", "users")
    assert answer["beside"] == [f"{name}.parquet" for name in names]
