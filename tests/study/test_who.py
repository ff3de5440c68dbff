"""Who churns in a study: what the functions give, and what a log cannot tell is absent with its reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest

import churnsurv as ch
from churnsurv.study import StudyResult, WhoChurns, check_study
from churnsurv.study import who as module
from churnsurv.study.reporting import to_report
from churnsurv.study.who import who_churns

StudyFile = Callable[..., Path]

WHO = """
[who_churns]
horizons = [60, 30]
window = 20
profile_horizon = 120
margin = { active_day = 2, invested_day = 0.00002 }
value_horizon = 90
keep = 1.5
min_users = 20
[rule]
sensitivity = []
[cox]
ties = "grouped"
[report]
level = 0.9
[[calendar]]
name = "spring"
kind = "campaign"
first = 2024-05-20
last = 2024-05-26
"""


@pytest.fixture(scope="module")
def sources(app_folder: Path) -> str:
    names = ("events", "users", "balances", "costs")
    return "\n".join(f'{name} = "{app_folder}/{name}.parquet"' for name in names)


@pytest.fixture
def study(study_file: StudyFile, sources: str) -> ch.Study:
    return ch.Study.from_toml(study_file(WHO, sources))


def found(study_file: StudyFile, sections: str, sources: str | None = None, **overrides: object) -> WhoChurns:
    named = sections if "[who_churns]" in sections else f"[who_churns]\n{sections}"
    dotted = {key.replace("__", "."): value for key, value in overrides.items()}
    return who_churns(ch.Study.from_toml(study_file(named, sources), dotted))


def same(one: pd.DataFrame, other: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(one, other)


def test_every_part_is_what_its_function_gives(study: ch.Study, app_folder: Path) -> None:
    result: StudyResult = study.run()
    who, log = result.who, result.log
    spring = pd.DataFrame({"name": ["spring"], "kind": ["campaign"], "start": ["2024-05-20"], "end": ["2024-05-26"]})
    costs = pd.read_parquet(app_folder / "costs.parquet")
    costs["amount"] = costs["amount"].astype(float)
    profile = {"window": 20, "horizon": 120, "min_users": 20, "level": 0.9}
    same(who.lifecycle.table, log.lifecycle().table)
    same(who.structure.horizons, ch.churn_structure(log, horizons=(30, 60), min_users=20, level=0.9).horizons)
    same(who.profile.table, ch.churn_profile(log, **profile).table)
    same(who.spell_profile.table, ch.churn_profile(log, form="spell", **profile).table)
    bursts = ch.cohort_bursts(log, calendar=spring, min_users=20, ties="grouped", level=0.9)
    same(who.bursts.table, bursts.table)
    same(who.bursts.hazard, bursts.hazard)
    assert "spring" in set(who.bursts.table["event"])
    margin = {"active_day": 2.0, "invested_day": 0.00002}
    value = ch.channel_value(log, costs, margin=margin, horizon=90, min_users=20, keep=1.5, level=0.9)
    same(who.channels.table, value.table)
    assert (dict(who.absent), who.notes, result.notes) == ({}, (), ())
    told = json.loads(to_report(result, lang="en").to_json())
    assert [each["id"] for each in told["sections"]][1:5] == ["who", "who-profile", "who-bursts", "who-value"]
    assert told["config"]["calendar"] == [
        {"name": "spring", "kind": "campaign", "first": "2024-05-20", "last": "2024-05-26"}
    ]
    assert set(told["provenance"]["inputs"]) == {"events", "users", "balances", "costs"}


def test_it_can_be_left_out(study_file: StudyFile) -> None:
    result = ch.Study.from_toml(study_file("[rule]\nsensitivity = []\n")).run()
    assert [getattr(result.who, part) for part in ("lifecycle", "structure", "profile", "bursts")] == [None] * 4
    assert result.notes == ()


def test_without_costs_channels_are_not_weighed_and_nothing_is_missed(study_file: StudyFile) -> None:
    who = found(study_file, "")
    assert who.channels is None
    assert dict(who.absent) == {}
    assert who.bursts is not None


def test_without_channels_the_rest_is_told(study_file: StudyFile, sources: str, app_folder: Path) -> None:
    query = f"SELECT * EXCLUDE (channel) FROM '{app_folder}/users.parquet'"
    plain = sources.replace(f'users = "{app_folder}/users.parquet"', f'users = {{ sql = "{query}" }}')
    who = found(study_file, "", plain)
    assert set(who.absent) == {"by_channel", "channels"}
    assert who.notes == (
        "Left out: churn by channel; the value of channels. The users have no column 'channel'; name theirs under "
        "[columns.users].",
    )
    assert who.structure is not None
    assert who.structure.by == ("stage", "cohort")
    problems = check_study(study_file("[who_churns]\n", plain)).problems
    assert [p.advice for p in problems if p.problem == "sources.costs"] == [
        "Channels cannot be weighed. The users have no column 'channel'; name theirs under [columns.users]."
    ]
    renamed = plain.replace("* EXCLUDE (channel)", "user_id, registered_at, channel AS origin")
    path = study_file('[who_churns]\n[columns.users]\nchannel = "origin"\n', renamed)
    assert "channel" in ch.Study.from_toml(path).spells.table


def test_without_investments_there_are_no_stages(study_file: StudyFile, app_folder: Path) -> None:
    query = f"SELECT user_id, event_at, kind FROM '{app_folder}/events.parquet' WHERE kind = 'login'"
    users = f'users = "{app_folder}/users.parquet"'
    who = found(study_file, "", f'events = {{ sql = "{query}" }}\n{users}')
    assert who.lifecycle is None
    assert who.notes == ("Left out: lifecycle stages. All users are in one stage ('new'), by n_investments.",)
    assert who.structure is not None
    assert who.structure.by == ("channel", "cohort")
    assert who.profile is not None
    assert set(who.profile.table["variable"]) == {"login_interval"}


def test_a_log_that_is_too_short_says_so_part_by_part(study_file: StudyFile) -> None:
    who = found(study_file, "", window__observed_until="2022-08-20")
    assert who.structure is not None
    assert set(who.absent) >= {"profile", "bursts"}
    assert "followed to day 180" in who.absent["profile"]
    assert "at least 30 are needed" in who.absent["bursts"]
    assert all("\n" not in note and note.startswith("Left out: ") for note in who.notes)


def test_a_fault_of_ours_is_raised(study: ch.Study, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(module, "_lifecycle", broken)
    with pytest.raises(ZeroDivisionError):
        who_churns(study)


# -------------------------------------------------------------------------------------------------- tables beside it


@pytest.mark.parametrize(
    ("costs", "where", "what"),
    [
        ("channel,cost_per_user\norganic,-1\n", "sources.costs", "a number of at least 0"),
        ("channel,cost_per_user\norganics,1\n", "sources.costs", "Did you mean 'organic'"),
        ("channel,price\norganic,1\n", "sources.costs", "'cost_per_user' is missing"),
        ("chanel,cost_per_user\norganic,1\n", "sources.costs", "'channel' is missing"),
        (None, "sources.costs", "there is no file"),
    ],
)
def test_costs_that_cannot_be_used_stop_the_study(
    study_file: StudyFile, app_folder: Path, tmp_path: Path, costs: str | None, where: str, what: str
) -> None:
    given = "\n".join(f'{name} = "{app_folder}/{name}.parquet"' for name in ("events", "users"))
    if costs is not None:
        (tmp_path / "costs.csv").write_text(costs, encoding="utf-8")
    path = study_file("[who_churns]\n", f'{given}\ncosts = "costs.csv"')
    errors = {p.problem: p.advice for p in check_study(path).problems if p.severity == "error"}
    assert what in errors[where]
    with pytest.raises(ch.InputError, match=what):
        ch.Study.from_toml(path).run()


def test_a_channel_without_cost_is_told_by_the_check(study_file: StudyFile, app_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "costs.csv").write_text("who,each\norganic,1\n", encoding="utf-8")
    given = "\n".join(f'{name} = "{app_folder}/{name}.parquet"' for name in ("events", "users"))
    columns = '[columns.costs]\nchannel = "who"\ncost_per_user = "each"\n'
    path = study_file(f"[who_churns]\n{columns}", f'{given}\ncosts = "costs.csv"')
    told = {p.problem: p for p in check_study(path).problems}
    assert told["sources.costs"].severity == "warning"
    assert told["sources.costs"].advice.startswith("No cost is known of 'advertising'")


def test_money_of_a_database_is_read_as_numbers(study_file: StudyFile, app_folder: Path) -> None:
    assert isinstance(pd.read_parquet(app_folder / "costs.parquet")["amount"].iloc[0], Decimal)
    given = "\n".join(f'{name} = "{app_folder}/{name}.parquet"' for name in ("events", "users"))
    query = f"SELECT channel, amount FROM '{app_folder}/costs.parquet'"
    tables = []
    for costs in (f'"{app_folder}/costs.parquet"', f'{{ sql = "{query}" }}'):
        study = ch.Study.from_toml(study_file("[who_churns]\n", f"{given}\ncosts = {costs}"))
        tables.append(module.value_of_channels(study).table)
    same(*tables)


def test_the_calendar_may_be_a_file(study_file: StudyFile, app_folder: Path, tmp_path: Path) -> None:
    from churnsurv.study.side_tables import calendar_of

    given = "\n".join(f'{name} = "{app_folder}/{name}.parquet"' for name in ("events", "users"))
    (tmp_path / "days.csv").write_text("what,date\nspring,2024-05-20\n", encoding="utf-8")
    columns = '[columns.calendar]\nname = "what"\n'
    path = study_file(f"[who_churns]\n{columns}", f'{given}\ncalendar = "days.csv"')
    study = ch.Study.from_toml(path)
    table = calendar_of(study.config, study.base, study.log.engine)
    assert table is not None
    assert table.to_dict("list") == {"name": ["spring"], "date": ["2024-05-20"]}
    (tmp_path / "days.csv").write_text("what,date\nspring,in May\n", encoding="utf-8")
    errors = {p.problem: p.advice for p in check_study(path).problems if p.severity == "error"}
    assert "a day such as '2024-05-20' is needed" in errors["sources.calendar"]
