"""Campaigns in a study: what the functions give, and what cannot be told is absent with its reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

import churnsurv as ch
from churnsurv.recall import lift, monitor
from churnsurv.study import check_study
from churnsurv.study import recall as module
from churnsurv.study.config import StudyConfig
from churnsurv.study.config_reading import read_config
from churnsurv.study.config_sections import SECTIONS
from churnsurv.study.recall import Campaigns, campaigns_back
from churnsurv.study.reporting import to_report

StudyFile = Callable[..., Path]

BACK = """
[campaigns]
campaign = "recall"
control = "none"
margin = 0.01
smallest_lift = 1.2
by = ["device"]
strata = ["half"]
[rule]
sensitivity = []
[report]
level = 0.9
"""


@pytest.fixture(scope="module")
def app() -> Any:
    return ch.simulate_app(700, seed=3)


@pytest.fixture(scope="module")
def folder(app: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = app.write(tmp_path_factory.mktemp("recall"))
    table = app.campaigns
    table["half"] = table["user_id"] % 2 == 0
    table.rename(columns={"assigned_at": "sent"}).to_csv(folder / "sent.csv", index=False)
    rewards = table[table["arm"] == "voucher"][["user_id", "campaign"]]
    rewards.assign(amount=5.0).to_csv(folder / "rewards.csv", index=False)
    return folder


@pytest.fixture
def sources(folder: Path) -> str:
    tables = {"events": "events.parquet", "users": "users.parquet", "assignments": "sent.csv", "rewards": "rewards.csv"}
    named = "\n".join(f'{name} = "{folder / file}"' for name, file in tables.items())
    return f'{named}\n[columns.assignments]\nassigned_at = "sent"'


def found(study_file: StudyFile, sources: str, sections: str = BACK, **overrides: object) -> Campaigns:
    dotted = {key.replace("__", "."): value for key, value in overrides.items()}
    return campaigns_back(ch.Study.from_toml(study_file(sections, sources), dotted))


def problems_of(document: dict[str, Any]) -> dict[str, str]:
    sources = {"events": "e.csv", "users": "u.csv", **document.pop("sources", {})}
    return {problem.where: problem.what for problem in read_config({"sources": sources, **document})[1]}


def test_a_study_asks_the_functions_what_its_file_says(
    study_file: StudyFile, sources: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, pd.DataFrame, dict[str, Any]]] = []

    def spy(name: str) -> Callable[..., Any]:
        def called(assignments: pd.DataFrame, log: ch.ActivityLog, **options: Any) -> Any:
            assert log.rule.idle_days == 30
            asked.append((name, assignments, options))
            return SimpleNamespace(campaigns=("recall",), name=name)

        return called

    monkeypatch.setattr(lift, "campaign_lift", spy("lift"))
    monkeypatch.setattr(monitor, "lift_monitor", spy("monitor"))
    back = found(study_file, sources)
    assert (back.lift.name, back.groups.name, back.monitors["recall"].name) == ("lift", "lift", "monitor")  # type: ignore[union-attr, attr-defined]
    (_, table, whole), (_, _, groups), (_, _, watched) = asked
    assert {"user_id", "campaign", "arm", "assigned_at", "stratum"} <= set(table.columns)
    assert set(table["stratum"]) == {"True", "False"}
    rewards = whole.pop("rewards")
    assert rewards["amount"].eq(5.0).all()
    base = {"control": "none", "horizon": 30, "campaign": "recall", "level": 0.9}
    further = {"design": "randomised", "margin": 0.01, "seed": 0}
    assert whole == {**base, **further, "outcomes": None, "covariates": None}
    del groups["rewards"]
    assert groups == {**base, **further, "outcomes": ("return_probability",), "covariates": (), "by": ["device"]}
    assert watched == {**base, "smallest_lift": 1.2}


def test_without_assignments_or_switched_off_nothing_is_told(study_file: StudyFile, sources: str) -> None:
    assert found(study_file, sources, campaigns__on=False).lift is None
    assert campaigns_back(ch.Study.from_toml(study_file())).lift is None


def test_what_cannot_be_told_is_absent_with_its_reason(study_file: StudyFile, sources: str) -> None:
    back = found(study_file, sources, campaigns__control="nobody")
    assert back.lift is None
    (note,) = back.notes
    assert note.startswith("Left out: what campaigns brought back. ")
    assert "nobody" in note
    (note,) = found(study_file, sources, campaigns__strata=["quarter"]).notes
    assert "'quarter' is missing" in note
    assert Campaigns(absent={"monitors": "Nobody."}).notes == ("Left out: campaigns as they ran. Nobody.",)


def test_a_fault_of_ours_is_not_a_reason(study_file: StudyFile, sources: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("ours")

    monkeypatch.setattr(module, "_lift", broken)
    with pytest.raises(KeyError, match="ours"):
        found(study_file, sources)


def test_without_lots_there_is_no_monitor(study_file: StudyFile, sources: str) -> None:
    back = found(study_file, sources, campaigns__design="observational", campaigns__strata=[])
    assert back.lift is None or back.lift.design == "observational"
    assert not back.monitors
    assert back.groups is None


def test_the_check_tells_what_is_wrong_with_campaigns(study_file: StudyFile, sources: str) -> None:
    told = {p.problem: p for p in check_study(study_file(BACK, sources), {"campaigns.by": ["color"]}).problems}
    assert told["campaigns.by"].severity == "warning"
    assert "'color'" in told["campaigns.by"].advice


def test_the_whole_study_has_a_section_and_its_figures(study_file: StudyFile, sources: str) -> None:
    result = ch.Study.from_toml(study_file(BACK, sources)).run()
    assert result.campaigns.lift is not None
    report = to_report(result, lang="en")
    ids = [each.id for each in report.sections]
    assert ids.index("campaigns") == ids.index("rule") - 1 if "rule" in ids else "campaigns" in ids
    assert any(sentence.link == "campaigns" for sentence in report.summary)
    inputs = result.provenance["inputs"]
    assert {"assignments", "rewards"} <= set(inputs)
    plain = json.loads(report.to_json())
    assert plain["config"]["campaigns"]["margin"] == 0.01
    assert plain["results"]["lift"]["facts"]["control"] == "none"


def test_every_key_is_read_and_written(study_file: StudyFile, sources: str) -> None:
    config = ch.Study.from_toml(study_file(BACK, sources)).config
    plain = config.to_dict()["campaigns"]
    assert list(plain) == list(SECTIONS["campaigns"])
    assert plain["by"] == ["device"]
    assert plain["strata"] == ["half"]
    assert StudyConfig().to_dict()["campaigns"]["control"] == "holdout"


@pytest.mark.parametrize(
    ("document", "where", "what"),
    [
        ({"campaigns": {"horizon": 60}}, "campaigns", "needs sources.assignments"),
        ({"sources": {"rewards": "r.csv"}}, "sources.rewards", "needs sources.assignments"),
        ({"sources": {"assignments": "a.csv"}, "campaigns": {"smallest_lift": 0.5}}, "campaigns.smallest_lift", "0.5"),
        ({"sources": {"assignments": "a.csv"}, "campaigns": {"design": "randomized"}}, "campaigns.design", "Did you"),
        ({"sources": {"assignments": "a.csv"}, "campaigns": {"controll": "x"}}, "campaigns.controll", "Did you mean"),
    ],
)
def test_what_is_wrong_in_the_file_is_told_with_its_place(document: dict[str, Any], where: str, what: str) -> None:
    assert what in problems_of(document)[where]
