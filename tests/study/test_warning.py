"""Thresholds and tiers in a study: what the functions give, and what a log cannot tell is absent with its reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import churnsurv as ch
from churnsurv.study import ThresholdsAndTiers, check_study
from churnsurv.study import warn as module
from churnsurv.study.config import StudyConfig
from churnsurv.study.config_reading import read_config
from churnsurv.study.config_sections import SECTIONS
from churnsurv.study.reporting import to_report
from churnsurv.study.tier_keys import BacktestKeys
from churnsurv.study.warn import thresholds_and_tiers
from churnsurv.warning import Capacity, Precision, Saving, Value, backtest, fit_tiers, idle_risk, tier_timeline

StudyFile = Callable[..., Path]

SAVING = '{ shape = "plateau", top = 0.3, middle = 20, width = 3 }'
WARNING = f"""
[warning]
by = {{ balance = [100, 1000] }}
variables = ["balance"]
missing = {{ balance = 0 }}
[warning.tiers.low]
per_day = 2
[warning.tiers.high]
saved_value = 60
contact_cost = 4
saving = {SAVING}
[warning.backtest]
origins = 1
capacity = [1]
[rule]
sensitivity = []
[report]
level = 0.9
"""


def same(one: pd.DataFrame, other: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(one, other)


def found(study_file: StudyFile, sections: str, sources: str | None = None, **overrides: object) -> ThresholdsAndTiers:
    dotted = {key.replace("__", "."): value for key, value in overrides.items()}
    return thresholds_and_tiers(ch.Study.from_toml(study_file(sections, sources), dotted))


def problems_of(warning: dict[str, Any]) -> dict[str, str]:
    document = {"sources": {"events": "e.csv", "users": "u.csv"}, "warning": warning}
    return {problem.where: problem.what for problem in read_config(document)[1]}


# -------------------------------------------------------------------------------------------------------- the parts


def test_every_part_is_what_its_function_gives(study_file: StudyFile) -> None:
    result = ch.Study.from_toml(study_file(WARNING)).run()
    warning, log = result.warning, result.log
    same(warning.risk.table, idle_risk(log, level=0.9).table)
    same(warning.risk_by.table, idle_risk(log, {"balance": (100, 1000)}, level=0.9).table)
    saving = Saving.plateau(top=0.3, middle=20.0, width=3.0)
    objective = {"high": Value(saved_value=60, contact_cost=4, saving=saving), "low": Capacity(per_day=2)}
    asked = {"objective": objective, "variables": ["balance"], "missing": {"balance": 0}, "level": 0.9}
    tiers = fit_tiers(log, **asked)
    assert warning.tiers.to_json() == tiers.to_json()
    assert warning.tiers.table["tier"].tolist() == ["high", "low"]
    same(warning.value, idle_risk(log, level=0.9).value(objective["high"], variants=True))
    same(warning.surface.table, idle_risk(log, {"balance": tiers.grids["balance"]}, level=0.9).table)
    same(warning.timeline, tier_timeline(log, tiers, every=14))
    same(warning.backtest.table, backtest(log, spec=asked, origins=1, capacity=[1], level=0.9).table)
    assert (dict(warning.absent), warning.notes, result.notes) == ({}, (), ())
    told = json.loads(to_report(result, lang="en").to_json())
    assert {"warning", "backtest"} <= {each["id"] for each in told["sections"]}
    assert told["config"]["warning"] == {
        "on": True, "by": {"balance": [100.0, 1000.0]}, "variables": ["balance"], "missing": {"balance": 0.0},
        "tiers": {
            "low": {"per_day": 2.0},
            "high": {"saved_value": 60.0, "contact_cost": 4.0, "saving": saving.to_plain()},
        },
        "backtest": {"origins": 1, "test_days": 90, "capacity": [1.0]},
    }  # fmt: skip


def test_it_is_on_by_default_with_the_idle_risk_alone(study_file: StudyFile) -> None:
    assert StudyConfig().warning_on
    warning = found(study_file, '[warning]\n[groups]\nby = ["cohort", "channel"]\n')
    assert warning.tiers is None
    assert warning.risk_by.by == ("channel",)  # months of registration say little about silence
    assert warning.notes == ()
    off = found(study_file, "[warning]\non = false\n")
    assert (off.risk, off.risk_by, off.tiers, off.notes) == (None, None, None, ())
    assert found(study_file, "[warning]\nby = []\n").risk_by is None


def test_without_a_value_and_a_backtest_these_parts_are_not_asked_for(study_file: StudyFile) -> None:
    warning = found(study_file, "[warning]\nvariables = []\n[warning.tiers.high]\nprecision = 0.5\n")
    assert warning.tiers is not None
    assert warning.timeline is not None
    assert (warning.value, warning.surface, warning.backtest) == (None, None, None)
    assert warning.notes == ()


def test_a_log_too_short_for_a_backtest_has_the_rest(study_file: StudyFile) -> None:
    text = "[warning]\nvariables = []\n[warning.tiers.high]\nprecision = 0.5\n[warning.backtest]\norigins = 40\n"
    warning = found(study_file, text)
    assert warning.backtest is None
    assert warning.tiers is not None
    (note,) = warning.notes
    assert note == f"Left out: tiers on later days. {warning.absent['backtest']}"
    told = [p for p in check_study(study_file(text)).problems if p.problem == "warning.backtest"]
    assert [p.advice for p in told] == [warning.absent["backtest"]]


def test_other_names_of_tiers_stand_highest_first(study_file: StudyFile) -> None:
    text = "[warning]\nvariables = []\n[warning.tiers.red]\nprecision = 0.7\n[warning.tiers.amber]\nprecision = 0.4\n"
    warning = found(study_file, text)
    assert warning.tiers.table["tier"].tolist() == ["red", "amber"]


def test_without_investments_rules_look_at_idle_days_alone(study_file: StudyFile, app_folder: Path) -> None:
    query = f"SELECT user_id, event_at, kind FROM '{app_folder}/events.parquet' WHERE kind = 'login'"
    sources = f'events = {{ sql = "{query}" }}\nusers = "{app_folder}/users.parquet"'
    text = "[warning.tiers.high]\nprecision = 0.5\n"
    warning = found(study_file, text, sources)
    assert warning.tiers.variables == ()
    (remark,) = warning.notes
    assert remark.startswith("Rules of tiers look at idle days alone. ")
    named = found(study_file, f'[warning]\nvariables = ["n_investments"]\n{text}', sources)
    assert named.tiers is None
    assert named.notes == (f"Left out: warning tiers. {named.absent['tiers']}",)
    assert "'n_investments' has no variation" in named.absent["tiers"]
    assert named.risk is not None
    told = {
        p.problem: p
        for p in check_study(study_file(f'[warning]\nvariables = ["n_investments"]\n{text}', sources)).problems
    }
    assert told["warning.tiers"].severity == "warning"
    assert "no variation" in told["warning.tiers"].advice


def test_what_the_log_cannot_tell_is_absent_with_its_reason(study_file: StudyFile) -> None:
    text = "[warning.tiers.high]\nprecision = 0.5\n"
    short = found(study_file, text, window__observed_until="2022-08-10")
    assert short.risk is None
    assert "twice the 30 idle days" in short.absent["risk"]
    assert all("\n" not in note for note in short.notes)
    typo = found(study_file, f'[warning]\nby = "chanel"\nvariables = ["balanse"]\n{text}')
    assert set(typo.absent) == {"risk_by", "tiers"}
    assert "Did you mean 'balance'?" in typo.absent["tiers"]
    assert len(typo.notes) == 2
    large = found(study_file, "[warning.tiers.high]\nper_day = 100000\n")
    assert "above the number of users" in large.absent["tiers"]


def test_a_fault_of_ours_is_raised(study_file: StudyFile, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(module, "_risk", broken)
    with pytest.raises(ZeroDivisionError):
        found(study_file, "[warning]\n")


# --------------------------------------------------------------------------------------------------------- the keys


def test_objectives_are_read_in_their_three_kinds() -> None:
    shapes = [
        ({"shape": "plateau", "top": 0.2}, Saving.plateau(top=0.2)),
        ({"shape": "linear", "top": 0.2, "idle_days": 21}, Saving.linear(top=0.2, idle_days=21)),
        (
            {"shape": "table", "idle_days": [1, 29], "s": [0.3, 0], "lower": [0.2, 0], "upper": [0.4, 0.1]},
            Saving.from_table({"idle_days": [1, 29], "s": [0.3, 0], "lower": [0.2, 0], "upper": [0.4, 0.1]}),
        ),
    ]
    for body, saving in shapes:
        tiers = {
            "high": {"saved_value": 100, "contact_cost": 0, "saving": body},
            "medium": {"precision": 0.6},
            "low": {"per_day": 140},
        }
        document = {"sources": {"events": "e", "users": "u"}, "warning": {"tiers": tiers}}
        config, problems = read_config(document)
        assert problems == []
        assert config.warning_tiers == {
            "high": Value(saved_value=100, contact_cost=0, saving=saving),
            "medium": Precision(target=0.6),
            "low": Capacity(per_day=140),
        }
        # what the configuration says of itself can be read again
        again = read_config(
            {"sources": document["sources"], "warning": {"tiers": config.to_dict()["warning"]["tiers"]}}
        )
        assert again[0].warning_tiers == config.warning_tiers


def test_every_problem_of_every_tier_is_told_with_its_place() -> None:
    constant = {"shape": "table", "idle_days": [1, 29], "s": [0.3, 0.3]}
    told = problems_of(
        {
            "tiers": {
                "a": {"saved_value": -1, "contact_cost": "5", "saving": {"shape": "plato"}},
                "b": {"saved_value": 100, "contact_csot": 3},
                "c": {"precision": 60},
                "d": {"precision": 0.5, "per_day": 3},
                "e": {},
                "f": 0.5,
                "g": {"saved_value": 1, "contact_cost": 1, "saving": constant},
                "h": {"saved_value": 1, "contact_cost": 1, "saving": 0.3},
                "i": {"per_day": 0},
                "j": {"saved_value": 1, "contact_cost": 1, "saving": {"shape": "linear", "tpo": 0.3}},
                "k": {"saved_value": 1, "contact_cost": 1, "saving": {"shape": "table", "s": [1, 0]}},
            },
            "missing": {"balanse": 0},
        }
    )
    at = {where.removeprefix("warning.tiers."): what for where, what in told.items()}
    assert set(at) == {
        "a.saved_value", "a.contact_cost", "a.saving", "b.contact_csot", "b.contact_cost", "b.saving", "c.precision",
        "d", "e", "f", "g.saving", "h.saving", "i.per_day", "j.saving", "k.saving", "warning.missing.balanse",
    }  # fmt: skip
    assert at["a.saved_value"] == "saved_value must be a number above 0; it is -1.0."
    assert "Did you mean 'plateau'?" in at["a.saving"]
    assert "Did you mean 'contact_cost'?" in at["b.contact_csot"]
    assert at["b.saving"].startswith("is missing. Such as saving = { shape")
    assert "Is it in percent?" in at["c.precision"]
    assert at["d"].startswith("has more than one objective")
    assert at["e"].startswith("says nothing of what it is for")
    assert "[warning.tiers.f]" in at["f"]
    assert "A threshold exists only against a saving that falls" in at["g.saving"]
    assert "A threshold exists only against a saving that falls" in at["h.saving"]
    assert "Did you mean 'top'?" in at["j.saving"]
    assert at["k.saving"].startswith("a table needs lists")
    assert "Did you mean 'balance'?" in at["warning.missing.balanse"]


def test_how_tiers_are_judged_is_read_with_every_problem() -> None:
    tiers = {"high": {"precision": 0.5}}
    document = {"sources": {"events": "e", "users": "u"}, "warning": {"tiers": tiers, "backtest": {}}}
    config, problems = read_config(document)
    assert problems == []
    assert config.warning_backtest == BacktestKeys(origins=4, test_days=90, capacity=())
    given = {"origins": ["2024-05-01", "2024-02-01"], "test_days": 30, "capacity": 12}
    config, problems = read_config({**document, "warning": {"tiers": tiers, "backtest": given}})
    assert problems == []
    assert config.to_dict()["warning"]["backtest"] == {
        "origins": ["2024-02-01", "2024-05-01"], "test_days": 30, "capacity": [12.0],
    }  # fmt: skip
    wrong = {"origins": 0, "test_days": "90", "capacity": [-1], "orgins": 3}
    told = problems_of({"tiers": tiers, "backtest": wrong})
    assert set(told) == {f"warning.backtest.{key}" for key in wrong}
    assert "Did you mean 'origins'?" in told["warning.backtest.orgins"]
    assert "above 0" in told["warning.backtest.capacity"]
    for origins in ("4", [], [3]):
        assert set(problems_of({"tiers": tiers, "backtest": {"origins": origins}})) == {"warning.backtest.origins"}
    assert problems_of({"backtest": {}}) == {
        "warning.backtest": "needs tiers to judge: sections such as [warning.tiers.high]."
    }
    assert "[warning.backtest]" in problems_of({"tiers": tiers, "backtest": 3})["warning.backtest"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("on", "yes"),
        ("by", 3),
        ("by", {"balance": 100}),
        ("by", {"balance": []}),
        ("by", {"balance": [1000, 100]}),
        ("by", {"balance": ["a"]}),
        ("variables", 3),
        ("missing", 0),
        ("missing", {"balance": "0"}),
        ("tiers", ["high"]),
    ],
)
def test_a_wrong_value_says_what_was_expected(key: str, value: object) -> None:
    assert set(problems_of({key: value})) == {f"warning.{key}"}
    assert key in SECTIONS["warning"]
