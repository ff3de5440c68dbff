"""A study run from its file gives what the functions give when they are called one by one."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import churnsurv as ch
from churnsurv import report
from churnsurv.study import StudyResult, check_study, in_words, reporting
from tests.study.conftest import write_study

MODEL = """
[rule]
sensitivity = [21, 30]
[groups]
by = ["channel", "device"]
[cox]
formula = "channel + campaign"
reference = { channel = "organic" }
ties = "grouped"
[report]
horizon = 60
level = 0.9
"""

StudyFile = Callable[..., Path]


@pytest.fixture(scope="module")
def result(app_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> StudyResult:
    return ch.Study.from_toml(write_study(app_folder, tmp_path_factory.mktemp("study"), MODEL)).run()


def test_the_result_is_what_the_functions_give(result: StudyResult, app_folder: Path) -> None:
    log = ch.ActivityLog(
        str(app_folder / "events.parquet"), str(app_folder / "users.parquet"), observed_until="2025-06-29"
    )
    spells = log.churn_spells()
    pd.testing.assert_frame_equal(result.spells.table, spells.table)
    assert list(result.curves) == ["all", "channel", "device"]
    assert list(result.tests) == ["channel", "device"]
    for name in ("channel", "device"):
        pd.testing.assert_frame_equal(result.curves[name].table, ch.kaplan_meier(spells, by=name, level=0.9).table)
        assert result.tests[name].statistic == ch.logrank(spells, by=name).statistic
    fit = ch.cox("channel + campaign", spells, reference={"channel": "organic"}, ties="grouped", level=0.9)
    assert result.cox is not None
    pd.testing.assert_frame_equal(result.cox.table, fit.table)
    assert result.sweep is not None
    assert result.sweep.idle_days == (21, 30)
    assert (result.sweep.horizon, result.sweep.by) == (60, ("channel",))
    assert result.check.ok


def test_a_study_of_two_tables_alone(study_file: StudyFile) -> None:
    result = ch.Study.from_toml(study_file("[rule]\nsensitivity = []\n")).run()
    assert (result.cox, result.sweep, dict(result.tests)) == (None, None, {})
    assert list(result.curves) == ["all"]


@pytest.mark.usefixtures("few_pictures")
def test_the_findings_are_the_summary_of_the_report(result: StudyResult, tmp_path: Path) -> None:
    page = result.report(tmp_path / "out")
    assert page == tmp_path / "out/report.html"
    facts = json.loads((tmp_path / "out/result.json").read_text(encoding="utf-8"))
    assert tuple(item["text"] for item in facts["summary"]) == result.findings
    assert len(result.findings) >= 5
    assert repr(result).startswith("<StudyResult: Churn study; 400 first spells")
    assert "<li>" in result._repr_html_()


def test_what_a_report_cannot_be(result: StudyResult, tmp_path: Path) -> None:
    for formats in (("docx",), ()):
        with pytest.raises(ch.InputError, match="html, pdf"):
            result.report(tmp_path / "out", formats=formats)
    with pytest.raises(ch.InputError, match="xx"):
        result.report(tmp_path / "out", lang="xx")
    with pytest.raises(ch.InputError, match=r"no section 'mehtod'\. Did you mean 'method'"):
        result.report(tmp_path / "out", sections=["mehtod"])
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("few_pictures")
def test_a_study_writes_its_own_report(study_file: StudyFile, tmp_path: Path) -> None:
    study = ch.Study.from_toml(study_file('[rule]\nsensitivity = []\n[study]\nfolder = "mine"\nlang = "zh-Hant"\n'))
    page = study.report(sections=["method"])
    assert page == tmp_path / "mine-part/report.html"
    facts = json.loads((page.parent / "result.json").read_text(encoding="utf-8"))
    assert (facts["lang"], [section["id"] for section in facts["sections"]]) == ("zh-Hant", ["method"])
    page = study.report(tmp_path / "other", formats=["pdf", "html"], lang="en", sections=["studied", "curves"])
    assert page == tmp_path / "other/report.pdf"
    assert page.read_bytes()[:5] == b"%PDF-"
    assert '<html lang="en"' in (page.parent / "report.html").read_text(encoding="utf-8")


def test_what_cannot_be_written_stops_a_study_before_it_runs(
    study_file: StudyFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = ch.Study.from_toml(study_file())
    monkeypatch.setattr("churnsurv.study.run.run_study", None)  # it would be called to no avail
    monkeypatch.setitem(sys.modules, "typst", None)
    with pytest.raises(ch.InputError, match=r"churnsurv\[pdf\]"):
        study.report(formats=["pdf"])
    with pytest.raises(ch.InputError, match=r"no report in the language 'zh'\. Languages: en, zh-Hant"):
        study.report(lang="zh")
    for sections in (["mehtod"], "curves-chanel", [], [""], "", ["method", "nothing"]):
        with pytest.raises(ch.InputError, match=r"(no section|sections is empty).*Sections: studied, who"):
            study.report(sections=sections)
    with pytest.raises(ch.InputError, match="formats is empty"):
        study.report(formats=[])
    (study.folder).mkdir()
    (study.folder / "mine.txt").write_text("work")
    with pytest.raises(ch.InputError, match="no manifest of a report"):
        study.report()


def test_every_section_of_the_report_is_known_before_the_run() -> None:
    """Each module of sections names its id once."""
    found: set[str] = set()
    for path in Path(report.__file__).parent.glob("section_*.py"):
        text = path.read_text(encoding="utf-8")
        found |= set(re.findall(r'^_LINK = "(.+)"', text, re.MULTILINE)) | set(re.findall(r'Section\("(.+?)"', text))
    assert set(reporting._SECTIONS) == found


def test_a_result_cannot_be_changed(result: StudyResult) -> None:
    with pytest.raises(AttributeError):
        result.cox = None  # type: ignore[misc]
    with pytest.raises(TypeError):
        result.curves["all"] = None  # type: ignore[index]


def test_sql_sources_and_paths_start_from_the_study_file(
    app_folder: Path, tmp_path: Path, study_file: StudyFile
) -> None:
    shutil.copy(app_folder / "events.parquet", tmp_path / "e.parquet")
    shutil.copy(app_folder / "users.parquet", tmp_path / "u.parquet")
    whole = ch.Study.from_toml(study_file(sources='events = "e.parquet"\nusers = "u.parquet"')).run()
    query = "SELECT user_id AS id, event_at, kind FROM 'e.parquet' WHERE kind <> 'redeem'"
    path = study_file(
        '[columns.events]\nuser_id = "id"\n', sources=f'events = {{ sql = "{query}" }}\nusers = "u*.parquet"'
    )
    queried = ch.Study.from_toml(path).run()
    pd.testing.assert_frame_equal(whole.spells.table, queried.spells.table)
    assert queried.provenance["inputs"]["events"]["sql"] == query
    assert queried.provenance["inputs"]["users"]["path"] == "u*.parquet"
    assert queried.provenance["inputs"]["users"]["sha256"] == whole.provenance["inputs"]["users"]["sha256"]


def test_features_enter_the_model_as_of_their_day(study_file: StudyFile) -> None:
    text = """
        [rule]
        sensitivity = [30]
        [stages]
        starts = { new = 0, grown = 1 }
        [cox]
        formula = "channel + n_investments + logins + stage"
        features = ["n_investments", "stage", { name = "logins", agg = "days", kind = "login" }]
        baseline_day = 30
    """
    result = ch.Study.from_toml(study_file(text)).run()
    assert result.cox is not None
    known = result.cox.table.set_index("variable")["known_at"]
    assert known["logins"] == known["n_investments"] == known["stage"] == "day 30"
    assert "stage: new" in set(result.cox.table["term"]) | {f"stage: {r}" for r in result.cox.table["reference"]}
    # The curves are those of all first spells, not of the users who lived to the day of the features.
    assert result.spells.counts["ended_before_entry"] == 0
    assert result.cox.n < result.spells.counts["spells"]


def test_warnings_that_a_reader_must_know_become_notes(study_file: StudyFile, app_folder: Path) -> None:
    result = ch.Study.from_toml(study_file("[rule]\nsensitivity = [30]\n[window]\n".replace("[window]\n", ""))).run()
    assert result.notes == ()
    short = '[rule]\nidle_days = 30\nsensitivity = [30]\n[groups]\nby = ["cohort"]\n'
    days = pd.read_parquet(app_folder / "users.parquet")["registered_at"]
    first = days[days >= "2024-06-01"].min().date()  # the group of the last month has no day at risk
    notes = ch.Study.from_toml(study_file(short), {"window.observed_until": first}).run().notes
    assert any("2024-06" in note for note in notes)
    assert len(set(notes)) == len(notes)


def test_a_horizon_beyond_the_log_is_said_and_the_rest_stands(study_file: StudyFile) -> None:
    study = ch.Study.from_toml(study_file("[rule]\nsensitivity = [30]\n[report]\nhorizon = 1200\n"))
    result = study.run()
    warned = [in_words(problem) for problem in result.check.problems if problem.severity == "warning"]
    assert any("1200 days lie beyond the longest follow-up" in line for line in warned)
    assert result.sweep is not None
    row = result.sweep.table.query("quantity == 'survival'").iloc[0]
    assert pd.isna(row["estimate"])
    assert "followed to day" in row["note"]


def test_overrides_stand_in_the_provenance(study_file: StudyFile) -> None:
    study = ch.Study.from_toml(study_file("[rule]\nsensitivity = []\n"), {"rule.idle_days": 45})
    result = study.run()
    assert result.spells.rule.idle_days == 45
    assert result.provenance["study"]["overrides"] == {"rule.idle_days": "45"}
    assert "duckdb" in result.provenance["packages"]


def test_equal_runs_have_equal_provenance_and_no_trace_of_the_machine(study_file: StudyFile, app_folder: Path) -> None:
    path = study_file("[rule]\nsensitivity = []\n")
    first, second = (ch.Study.from_toml(path).run().provenance for _ in range(2))
    assert first == second
    assert str(app_folder) not in json.dumps({**first})
    assert first["inputs"]["events"]["path"] == "events.parquet"
    import hashlib

    whole = hashlib.sha256((app_folder / "events.parquet").read_bytes()).hexdigest()
    assert first["inputs"]["events"]["sha256"] == whole


def test_the_file_and_the_tables_are_checked_together(study_file: StudyFile) -> None:
    path = study_file('[groups]\nby = ["chanel"]\n[cox]\nformula = "device"\nlies = "efron"\n')
    found = {problem.problem: problem for problem in check_study(path).problems if problem.severity == "error"}
    assert set(found) == {"groups.by", "cox.lies"}
    assert "Did you mean 'ties'?" in found["cox.lies"].advice
    with pytest.raises(ch.InputError, match=r"1 problem:\n  cox\.lies"):
        ch.Study.from_toml(path)


def test_a_fault_in_the_sources_is_not_followed_by_faults_of_its_making(study_file: StudyFile) -> None:
    path = study_file("[rule]\nidle_days = 0\n")
    assert [problem.problem for problem in check_study(path).problems] == ["rule.idle_days"]


def test_check_shows_what_the_model_would_run_into(study_file: StudyFile) -> None:
    path = study_file("[cox]\nformula = \"channel + I(channel == 'organic')\"\n")
    problems = check_study(path).problems
    assert [problem.problem for problem in problems if problem.severity == "error"] == ["cox.formula"]
    assert ch.Study.from_toml(path).check().ok


def test_a_check_of_the_study_is_a_check_of_its_tables(study_file: StudyFile) -> None:
    study = ch.Study.from_toml(study_file())
    assert study.check().ok
    missing = ch.Study.from_toml(study_file(sources='events = "none.csv"\nusers = "none.csv"'))
    assert not missing.check().ok
    assert {problem.table for problem in missing.check().problems} == {"events", "users"}


def test_one_event_in_2099_stops_the_study(app_folder: Path, tmp_path: Path) -> None:
    for name in ("events", "users"):
        shutil.copy(app_folder / f"{name}.parquet", tmp_path)
    events = pd.read_parquet(tmp_path / "events.parquet")
    events.loc[0, "event_at"] = pd.Timestamp("2099-01-01")
    events.to_parquet(tmp_path / "events.parquet")
    study = tmp_path / "study.toml"
    sources = '[sources]\nevents = "events.parquet"\nusers = "users.parquet"\n[rule]\nsensitivity = []\n'
    study.write_text(sources, encoding="utf-8")
    with pytest.raises(ch.InputError, match=r"stray_late_events.*nearly everybody would have churned"):
        ch.Study.from_toml(study).run()
    study.write_text(sources + "[window]\nobserved_until = 2025-06-29\n", encoding="utf-8")
    assert ch.Study.from_toml(study).run().log.counts["outside_window"] == 1
