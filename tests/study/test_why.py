"""Why they leave in a study: what the functions give, and what a log cannot tell is absent with its reason."""

from __future__ import annotations

import datetime
import io
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

import churnsurv as ch
from churnsurv.data import ActivityLog
from churnsurv.diagnosis.experience import experience_hazard
from churnsurv.diagnosis.monitor import churn_monitor
from churnsurv.diagnosis.shock import shock_effect
from churnsurv.errors import InputError
from churnsurv.simulation import PROBLEMS, Shock
from churnsurv.study import WhyTheyLeave, check_study
from churnsurv.study import check as checking
from churnsurv.study import why as module
from churnsurv.study.config import StudyConfig
from churnsurv.study.config_reading import read_config
from churnsurv.study.config_sections import SECTIONS
from churnsurv.study.why import dated_entries, why_they_leave
from churnsurv.study.why_keys import DateKeys, WatchKeys, in_keys

StudyFile = Callable[..., Path]

WHY = """
[why]
within = 20
horizon = 200
weights = ["channel"]
problems = ["crash", "lag"]
[why.monitor]
train = 120
watch = 30
smallest_drop = 0.3
min_users = 50
[why.shocks]
kinds = ["news"]
before = 42
after = 14
[groups]
by = ["cohort", "channel"]
[report]
level = 0.9
[[calendar]]
name = "rate cut"
kind = "news"
first = 2025-04-07
[[calendar]]
name = "spring festival"
kind = "holiday"
first = 2025-01-28
last = 2025-02-04
"""
NEWS = Shock(datetime.date(2025, 4, 7), datetime.date(2025, 4, 20), factor=20.0)


@pytest.fixture(scope="module")
def why_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ch.simulate_app(900, seed=6, problems=PROBLEMS, shocks=[NEWS]).write(tmp_path_factory.mktemp("why"))


@pytest.fixture(scope="module")
def sources(why_folder: Path) -> str:
    return "\n".join(f'{name} = "{why_folder}/{name}.parquet"' for name in ("events", "users", "feedback"))


def found(study_file: StudyFile, sections: str, sources: str | None = None, **settings: Any) -> WhyTheyLeave:
    path = study_file(sections if "[why" in sections else f"[why]\n{sections}", sources)
    dotted = {key.replace("__", "."): value for key, value in settings.items()}
    return why_they_leave(ch.Study.from_toml(path, dotted), only_try=False)


def same(one: pd.DataFrame, other: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(one, other)


def log_of(folder: Path) -> ActivityLog:
    tables = {name: pd.read_parquet(folder / f"{name}.parquet") for name in ("events", "users", "feedback")}
    return ActivityLog(**tables, observed_until="2025-06-29")


def test_every_part_is_what_its_function_gives(study_file: StudyFile, sources: str) -> None:
    why, log = found(study_file, WHY, sources), ch.Study.from_toml(study_file(WHY, sources)).log
    asked: dict[str, Any] = {"within": 20, "horizon": 200, "weights_on": ["channel"], "models": False, "level": 0.9}
    assert (dict(why.absent), why.notes) == ({}, ())
    same(why.reasons.table, ch.churn_reasons(log, **asked).table)
    same(why.reasons_by.table, ch.churn_reasons(log, by="channel", **asked).table)
    same(why.experience.table, experience_hazard(log, ("crash", "lag"), lasting=False, level=0.9).table)
    days = {"name": ["spring festival"], "start": ["2025-01-28"], "end": ["2025-02-04"], "kind": ["holiday"]}
    holidays = pd.DataFrame(days)
    watched = {"train": 120, "watch": 30, "smallest_drop": 0.3, "min_users": 50, "holidays": holidays, "level": 0.9}
    same(why.monitor.table, churn_monitor(log, "channel", **watched).table)
    news = pd.DataFrame({"name": ["rate cut"], "date": ["2025-04-07"], "kind": ["news"]})
    judged = {"before": 42, "after": 14, "holidays": holidays, "level": 0.9}
    same(why.shocks.table, shock_effect(log, news, by="channel", **judged).table)


def test_it_can_be_left_out_as_a_whole_and_in_parts(study_file: StudyFile, sources: str) -> None:
    assert found(study_file, "on = false", sources).notes == ()
    some = found(study_file, WHY.replace('["crash", "lag"]', "[]"), sources, why__monitor={"on": False}, why__by=[])
    assert [some.reasons_by, some.experience, some.monitor, dict(some.absent)] == [None, None, None, {}]
    assert some.reasons is not None
    assert some.shocks is not None
    assert some.shocks.by is None
    assert found(study_file, WHY, sources, why__shocks={"on": False}, why__monitor={"on": False}).shocks is None


def test_what_a_log_cannot_tell_is_said_in_one_line_each(study_file: StudyFile) -> None:
    why = found(study_file, "", window__observed_until="2024-03-31")
    assert why.notes[:2] == (
        "Left out: reasons of churn. There is no feedback of users: sources.feedback has user_id, date and reason.",
        "Left out: problems that users met. No event is of the kind crash, lag or complaint: see why.problems.",
    )
    assert set(why.absent) == {"reasons", "experience", "monitor"}
    assert "return in the days to learn from" in why.absent["monitor"]
    assert why.shocks is None
    assert all("\n" not in note for note in why.notes)
    short = found(study_file, "", window__observed_until="2022-10-01")
    assert "no history of 365 days" in short.absent["monitor"]


def test_a_last_day_that_is_not_there_in_full_is_not_watched(
    study_file: StudyFile, sources: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = datetime.date(2025, 6, 29)
    monkeypatch.setattr(module, "_half_loaded", lambda _: last)
    why = found(study_file, WHY.replace('["crash", "lag"]', "[]"), sources, why__shocks={"on": False})
    assert why.monitor.last_day == datetime.date(2025, 6, 28)
    assert why.notes == (f"Returns are watched up to the day before {last}: the last day is not there in full.",)


def test_half_a_day_is_noticed(why_folder: Path) -> None:
    log = log_of(why_folder)
    assert module._half_loaded(log) is None
    events = pd.read_parquet(why_folder / "events.parquet")
    cut = events[events["event_at"].dt.tz_localize(None) < pd.Timestamp("2025-06-29 03:00")]
    half = ActivityLog(cut, pd.read_parquet(why_folder / "users.parquet"), observed_until="2025-06-29")
    assert module._half_loaded(half) == datetime.date(2025, 6, 29)


def test_a_fault_of_ours_is_raised(study_file: StudyFile, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(module, "_reasons", broken)
    with pytest.raises(ZeroDivisionError):
        found(study_file, "")


# ------------------------------------------------------------------------------------------------------- the calendar

CALENDAR = pd.DataFrame(
    {
        "name": ["a", "b", "c", "d"],
        "kind": ["news", "outage", "holiday", None],
        "date": pd.date_range("2024-01-01", periods=4),
    }
)


@pytest.mark.parametrize(
    ("asked", "shocks", "holidays"),
    [
        (DateKeys(), ["a", "b"], ["c"]),
        (DateKeys(kinds=("news",)), ["a"], ["c"]),
        (DateKeys(names=("d",)), ["d"], ["c"]),
        (DateKeys(names=("c",)), ["c"], []),
    ],
)
def test_entries_are_shocks_by_kind_or_by_name_and_no_day_is_both(
    asked: DateKeys, shocks: list[str], holidays: list[str]
) -> None:
    tables = dated_entries(StudyConfig(why_shocks=asked), CALENDAR)
    assert [[] if each is None else list(each["name"]) for each in tables] == [shocks, holidays]
    assert dated_entries(StudyConfig(), None) == (None, None)


def test_an_entry_that_a_calendar_file_lacks_is_an_error(study_file: StudyFile, sources: str, tmp_path: Path) -> None:
    (tmp_path / "days.csv").write_text("name,date\nrate cut,2025-04-07\n", encoding="utf-8")
    path = study_file('[why.shocks]\nnames = ["rate cuts"]\n', f'{sources}\ncalendar = "days.csv"')
    errors = {p.problem: p.advice for p in check_study(path).problems if p.severity == "error"}
    assert errors["why.shocks.names"] == (
        "The calendar has no entry 'rate cuts'. Did you mean 'rate cut'? Entries: rate cut."
    )


# ------------------------------------------------------------------------------------------------ tables beside the log


def test_the_check_tells_what_is_wrong_beside_the_log(study_file: StudyFile, sources: str, tmp_path: Path) -> None:
    (tmp_path / "reasons.csv").write_text("code,reason\nrigid,a\nrigid,b\n", encoding="utf-8")
    given = f'{sources}\nreasons = "reasons.csv"\nanswers = "none.csv"'
    errors = {p.problem: p.advice for p in check_study(study_file("[why]\n", given)).problems if p.severity == "error"}
    assert errors["sources.reasons"] == "'rigid' is mapped to 'a' and to 'b'. Give each code one reason."
    assert "there is no file" in errors["sources.answers"]
    (tmp_path / "reasons.csv").write_text("code,reason\nrigide,a\n", encoding="utf-8")
    path = study_file('[why]\nby = "chanel"\n', f'{sources}\nreasons = "reasons.csv"')
    told = {p.problem: p for p in check_study(path).problems}
    assert "Did you mean 'channel'" in told["why.by"].advice
    told = {p.problem: p for p in check_study(path, {"why.by": "stage", "why.problems": ["crashes"]}).problems}
    assert told["sources.feedback"].severity == "warning"
    assert "None of" in told["sources.feedback"].advice
    assert "Did you mean 'crash'" in told["why.problems"].advice


BAD_ANSWERS = {
    "sources.answers: 'user_id' is text": "user_id,date,topic,score\nzz,2025-01-01,y,4\n",
    "sources.answers: 'user_id' is missing. Did you mean 'user'?": "user,foo\n1,2\n",
    "sources.answers: none of 0 rows can be used": "user_id,date,topic,score\n",
    "sources.answers: none of 1 rows can be used (1 outside_window)": "user_id,date,topic,score\n1,2050-01-01,y,4\n",
}


def test_problems_are_told_without_answers_that_cannot_be_used(why_folder: Path) -> None:
    log, config = log_of(why_folder), StudyConfig(why_problems=("crash",))
    tables = [pd.read_csv(io.StringIO(text)) for text in BAD_ANSWERS.values()]
    for table, said in zip(tables, BAD_ANSWERS, strict=True):
        assert str(module._fault_of(table, log)).startswith(said)
    remarks: list[str] = []
    told, plain = (module._experience(log, config, answers, remarks) for answers in (tables[1], None))
    assert told is not None
    assert plain is not None
    same(told.table, plain.table)
    (remark,) = remarks
    assert remark.startswith("Satisfaction is left out. sources.answers: 'user_id' is missing.")
    with pytest.raises(InputError, match="the log has no event of kind 'crahs'"):
        module._experience(log, StudyConfig(why_problems=("crahs",)), tables[1], remarks)
    assert len(remarks) == 1


def test_feedback_of_other_days_or_users_stops_no_study(
    study_file: StudyFile, why_folder: Path, tmp_path: Path
) -> None:
    names = "\n".join(f'{name} = "{why_folder}/{name}.parquet"' for name in ("events", "users"))
    path = study_file('[why]\nweights = ["tenure", "stage"]\n', f'{names}\nfeedback = "said.csv"')

    def said(*rows: str) -> tuple[ch.Study, dict[str, str]]:
        (tmp_path / "said.csv").write_text("\n".join(["user_id,date,reason", *rows]), encoding="utf-8")
        study = ch.Study.from_toml(path)
        return study, {each.problem: each.severity for each in study.check().problems if each.table == "feedback"}

    study, problems = said("1,2050-01-01,a", "99999999,2025-01-01,b", "1,,c")
    assert set(problems.values()) == {"warning"}
    assert set(problems) == {"outside_window", "unknown_user", "missing_date"}
    assert study.check().ok
    with pytest.raises(InputError, match=r"of the answers of sources\.feedback can be used: 1 "):
        module._reasons(study.log, study.config, None, None)
    assert said("1,soon,a")[1] == {"unparsable_date": "error"}


def test_columns_that_weigh_reasons_are_checked(study_file: StudyFile, sources: str) -> None:
    path = study_file('[why]\nweights = ["tenure", "stage", "chanel"]\n', sources)
    (error,) = [each for each in ch.Study.from_toml(path).check().problems if each.severity == "error"]
    assert error.problem == "why.weights"
    assert error.advice.startswith("'chanel' is missing. Did you mean 'channel'?")


def test_texts_as_reasons_are_noticed(study_file: StudyFile, sources: str, monkeypatch: pytest.MonkeyPatch) -> None:
    study = ch.Study.from_toml(study_file("[why]\n", sources))
    for n, problems in ((30, []), (31, ["sources.feedback"])):
        many: Any = SimpleNamespace(reasons=tuple(map(str, range(n))))
        monkeypatch.setattr(module, "why_they_leave", lambda *_, many=many, **__: WhyTheyLeave(reasons=many))
        told = list(checking._explained(study))
        assert [each.problem for each in told] == problems
    assert told[0].advice.startswith("There are 31 different reasons, too many to compare.")
    assert told[0].severity == "warning"


@pytest.mark.parametrize(
    ("part", "said", "told"),
    [
        ("reasons", "Check mapping=, within= and the dates.", "Check sources.reasons, why.within and the dates."),
        (
            "reasons",
            "mapping: 'a' is. Map 'a' to None instead.",
            "sources.reasons: 'a' is. Leave the reason of 'a' empty.",
        ),
        (
            "reasons_by",
            "By: 'spell' is taken. Rename it, or map it: columns={'users': {'user_spell': 'spell'}}.",
            "why.by: 'spell' is taken. Rename it, or map it in columns.users: user_spell = \"spell\".",
        ),
        (
            "experience",
            "Kinds: 'x' is all. Leave it out of kinds.",
            "why.problems: 'x' is all. Leave it out of why.problems.",
        ),
        ("monitor", "There are 9: lower train to that.", "There are 9: lower why.monitor.train to that."),
        ("shocks", "Untouched: there is no group 'x'.", "why.shocks.untouched: there is no group 'x'."),
    ],
)
def test_reasons_name_the_keys_of_the_study(part: str, said: str, told: str) -> None:
    assert in_keys(part, said) == told


def test_columns_of_feedback_are_named_and_its_rows_checked(
    study_file: StudyFile, why_folder: Path, tmp_path: Path
) -> None:
    feedback = pd.read_parquet(why_folder / "feedback.parquet").rename(columns={"reason": "what"})
    feedback.loc[feedback.index[:3], "what"] = None
    feedback.to_parquet(tmp_path / "said.parquet")
    names = "\n".join(f'{name} = "{why_folder}/{name}.parquet"' for name in ("events", "users"))
    path = study_file('[why]\n[columns.feedback]\nreason = "what"\n', f'{names}\nfeedback = "said.parquet"')
    study = ch.Study.from_toml(path)
    assert study.log.counts["feedback_rejected"] == 3
    assert "missing_reason" in {p.problem for p in study.check().problems}


# ------------------------------------------------------------------------------------------------------------ the keys

SOURCES = {"sources": {"events": "e.csv", "users": "u.csv"}}


def problems_of(**why: Any) -> dict[str, str]:
    return {problem.where: problem.what for problem in read_config({**SOURCES, "why": why})[1]}


@pytest.mark.parametrize(
    ("keys", "where", "what"),
    [
        ({"on": 1}, "why.on", "expected true or false"),
        ({"by": ["channel", "device"]}, "why.by", "expected one column"),
        ({"within": -1}, "why.within", "a whole number of at least 0"),
        ({"horizon": 0}, "why.horizon", "a whole number of at least 1"),
        ({"problems": [3]}, "why.problems", "a list of texts"),
        ({"kind": "crash"}, "why.kind", "There is no such key."),
        ({"monitor": True}, "why.monitor", "expected a section [why.monitor]"),
        ({"monitor": {"train": 20}}, "why.monitor.train", "a whole number of at least 56"),
        ({"monitor": {"smallest_drop": 1.5}}, "why.monitor.smallest_drop", "a number from 0.01 to 0.99"),
        ({"monitor": {"wacth": 30}}, "why.monitor.wacth", "Did you mean 'watch'"),
        ({"shocks": {"before": 7}}, "why.shocks.before", "a whole number of at least 28"),
        ({"shocks": {"reaches": "some"}}, "why.shocks.reaches", 'expected "all" or "active"'),
        ({"shocks": {"names": ["news"]}}, "why.shocks.names", "needs a calendar"),
    ],
)
def test_every_wrong_value_has_its_place(keys: dict[str, Any], where: str, what: str) -> None:
    problems = problems_of(**keys)
    assert list(problems) == [where]
    assert what in problems[where]


def test_names_and_reasons_are_checked_together() -> None:
    days = [{"name": "rate cut", "first": datetime.date(2025, 4, 7)}]
    document = {**SOURCES, "calendar": days, "why": {"shocks": {"names": ["rate cup"]}}}
    (problem,) = read_config(document)[1]
    assert problem.what == "The calendar has no entry 'rate cup'. Did you mean 'rate cut'?"
    (problem,) = read_config({"sources": {**SOURCES["sources"], "reasons": "r.csv"}})[1]
    assert (problem.where, problem.what[:21]) == ("sources.reasons", "needs sources.feedbac")


def test_keys_are_read_and_told_again_as_they_stand() -> None:
    why = {"by": [], "problems": ["timeout"], "monitor": {"on": False}, "shocks": {"kinds": ["news"], "after": 7}}
    config, problems = read_config({**SOURCES, "why": why})
    assert problems == []
    assert (config.why_by, config.why_problems, config.why_weights) == ((), ("timeout",), None)
    assert config.why_monitor == WatchKeys(on=False)
    assert config.why_shocks == DateKeys(kinds=("news",), after=7)
    plain = config.to_dict()["why"]
    assert list(plain) == list(SECTIONS["why"])
    again = read_config({**SOURCES, "why": {key: value for key, value in plain.items() if value is not None}})
    assert again == (config, [])
