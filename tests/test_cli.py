"""The command line: what it prints, its exit codes, and that bad input leaves nothing behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import tomllib
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import churnsurv as ch
from churnsurv import cli
from churnsurv.study import demo
from churnsurv.study.config_reading import read_config

APP = ch.simulate_app(300, seed=9)
WINDOW = {"first": APP.observed_from, "last": APP.observed_until}


@dataclass
class Run:
    code: int
    out: str
    err: str


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Run]:
    """Call the console entry point in this process, from an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> Run:
        monkeypatch.setattr(sys, "argv", ["churnsurv", *arguments])
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = int(end.code or 0)
        said = capsys.readouterr()
        return Run(code, said.out, said.err)

    return call


def write_study(
    folder: Path, *, users: pd.DataFrame | None = None, events: pd.DataFrame | None = None, **settings: Any
) -> Path:
    """Parquet files and a study file; `settings` replace sections of the file."""
    (APP.users if users is None else users).to_parquet(folder / "users.parquet")
    (APP.events if events is None else events).to_parquet(folder / "events.parquet")
    sections: dict[str, Any] = {
        "study": {"folder": "out"},
        "sources": {"events": "events.parquet", "users": "users.parquet"},
        "window": {"observed_until": "2025-06-29"},
        "rule": {"sensitivity": [30, 45]},
        "groups": {"by": ["channel"]},
        "cox": {"formula": "channel", "ties": "grouped"},  # a quarter of the users churns on day 30
        # most of the time of a run, and the demonstration has them
        "who_churns": {"on": False},
        "why": {"on": False},
        "warning": {"on": False},
    }
    lines = []
    for section, keys in (sections | settings).items():
        lines.append(f"[{section}]")
        lines += [f"{key} = {toml(value)}" for key, value in keys.items()]
    path = folder / "study.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(item)}" for key, item in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


# ------------------------------------------------------------------------------------------------- the commands


@pytest.mark.usefixtures("few_pictures")
def test_demo_writes_data_study_and_a_report(
    run: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without tiers and backtest, two thirds of its time: their keys are read here, their parts have tests."""
    tiers = demo.STUDY.index("# What tiers are for"), demo.STUDY.index("[campaigns]")
    assert "[warning.tiers.high]" in demo.STUDY[slice(*tiers)]
    assert "[warning.backtest]" in demo.STUDY[slice(*tiers)]
    whole = read_config(tomllib.loads(demo.STUDY.format(n_users=1, seed=2, per_day=1, calendar="", **WINDOW)))
    assert whole[0].warning_tiers.keys() == {"high", "medium", "low"}
    assert whole[1] == []
    monkeypatch.setattr(demo, "STUDY", demo.STUDY[: tiers[0]] + demo.STUDY[tiers[1] :])
    done = run("demo", "shown", "--users", "250", "--seed", "2")
    assert done.code == 0, done.err
    assert done.err == ""
    assert sorted(path.name for path in (tmp_path / "shown").iterdir()) == [
        "balances.parquet", "campaigns.parquet", "costs.parquet", "events.parquet", "feedback.parquet",
        "opt_outs.csv", "policy.toml", "report", "study.toml", "users.parquet",
    ]  # fmt: skip
    assert (tmp_path / "shown/report/report.html").stat().st_size > 10_000
    assert done.out.startswith("- 250 users were followed")
    assert len([line for line in done.out.splitlines() if line.startswith("- ")]) >= 5
    assert f"Report: {Path('shown/report/report.html')}" in done.out
    assert "Daily:  churnsurv tiers shown/study.toml; churnsurv score shown/study.toml --as-of 2025-06-29" in done.out
    from churnsurv.action import Policy

    assert Policy.from_toml(tmp_path / "shown/policy.toml").tiers == ("high", "medium", "low")
    facts = json.loads((tmp_path / "shown/report/result.json").read_text(encoding="utf-8"))
    assert facts["provenance"]["seed"] == 2
    assert str(tmp_path) not in json.dumps(facts)


@pytest.mark.slow
def test_the_demo_comes_out_again(run: Callable[..., Run], tmp_path: Path) -> None:
    run("demo", "shown", "--users", "250", "--seed", "2")
    before = snapshot(tmp_path / "shown")
    assert run("report", "shown/study.toml").code == 0
    assert snapshot(tmp_path / "shown") == before


@pytest.mark.usefixtures("few_pictures")
def test_init_then_check_then_report_on_csv(run: Callable[..., Run], tmp_path: Path) -> None:
    APP.events.rename(columns={"user_id": "client", "event_at": "at"}).to_csv(tmp_path / "log.csv", index=False)
    APP.users.rename(columns={"user_id": "id", "registered_at": "created"}).to_csv(tmp_path / "who.csv", index=False)
    made = run("init", "log.csv", "who.csv", "--output", "sub/mine.toml")
    assert made.code == 0, made.err
    assert "100.0% of the ids in the events are among the users" in made.out
    assert "idle days" in made.out
    assert "####" in made.out
    text = (tmp_path / "sub/mine.toml").read_text(encoding="utf-8")
    assert 'events = "../log.csv"' in text
    assert 'event_at = "at"' in text
    checked = run("check", "sub/mine.toml")
    assert (checked.code, checked.err) == (0, "")
    assert "sub/mine.toml: fine" in checked.out.replace("\\", "/")
    reported = run(
        "report", "sub/mine.toml", "--set", "who_churns.on=false", "--set", "why.on=false", "--set", "warning.on=false"
    )
    assert reported.code == 0, reported.err
    assert (tmp_path / "sub/report/report.html").is_file()
    facts = json.loads((tmp_path / "sub/report/result.json").read_text(encoding="utf-8"))
    assert facts["results"]["log"]["counts"]["users"] == APP.n_users


def test_init_does_not_replace_a_study(run: Callable[..., Run], tmp_path: Path) -> None:
    APP.write(tmp_path)
    (tmp_path / "study.toml").write_text("mine", encoding="utf-8")
    refused = run("init", "events.parquet", "users.parquet")
    assert refused.code == 2
    assert "is there already" in refused.err
    assert (tmp_path / "study.toml").read_text(encoding="utf-8") == "mine"


@pytest.mark.usefixtures("few_pictures")
def test_set_replaces_a_setting(run: Callable[..., Run], tmp_path: Path) -> None:
    write_study(tmp_path)
    done = run(
        "report", "study.toml", "--set", "rule.idle_days=45", "--set", "study.title=My own = title", "--output", "o"
    )
    assert done.code == 0, done.err
    facts = json.loads((tmp_path / "o/result.json").read_text(encoding="utf-8"))
    assert facts["title"] == "My own = title"
    assert facts["config"]["rule"]["idle_days"] == 45
    assert facts["results"]["log"]["rule"]["idle_days"] == 45
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("few_pictures")
def test_report_in_another_language_as_pdf_of_some_sections_opened(
    run: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_study(tmp_path, rule={"sensitivity": []}, cox={})
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda address: not opened.append(address))
    chosen = ("--lang", "zh-Hant", "--pdf", "--section", "curves", "--section", "studied", "--open")
    done = run("report", "study.toml", *chosen)
    assert (done.code, done.err) == (0, "")
    assert not (tmp_path / "out").exists()  # a part never replaces the whole
    assert opened == [(tmp_path / "out-part/report.html").as_uri()]
    assert (tmp_path / "out-part/report.pdf").read_bytes()[:5] == b"%PDF-"
    facts = json.loads((tmp_path / "out-part/result.json").read_text(encoding="utf-8"))
    assert {section["id"] for section in facts["sections"]} == {"curves-all", "curves-channel", "studied"}
    assert [f"- {sentence['text']}" for sentence in facts["summary"]] == done.out.splitlines()[:-3]
    pages = [f"Report: {Path('out-part') / name}" for name in ("report.html", "report.pdf")]
    assert done.out.splitlines()[-3:] == ["", *pages]
    assert "流失" in done.out
    listed = json.loads((tmp_path / "out-part/manifest.json").read_text(encoding="utf-8"))
    assert (listed["lang"], "report.pdf" in listed["files"]) == ("zh-Hant", True)
    assert listed["formats"] == ["html", "pdf"]
    assert listed["sections"] == ["studied", "curves-all", "curves-channel"]


@pytest.mark.usefixtures("few_pictures")
def test_a_report_that_cannot_be_opened_is_written_all_the_same(
    run: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_study(tmp_path, rule={"sensitivity": []}, groups={}, cox={}, report={"formats": ["pdf"]})
    monkeypatch.setattr("webbrowser.open", lambda _: False)
    done = run("report", "study.toml", "--open")
    assert done.code == 0
    assert f"Report: {Path('out/report.pdf')}" in done.out
    assert done.err == f"No program here opens it: {tmp_path / 'out/report.pdf'}\n"


def test_report_refuses_what_there_is_not(run: Callable[..., Run], tmp_path: Path) -> None:
    write_study(tmp_path, rule={"sensitivity": []}, groups={}, cox={})
    unknown = run("report", "study.toml", "--section", "curve", "--section", "whyy")
    assert (unknown.code, "The report has no section 'whyy'" in unknown.err) == (2, True)
    assert "The report has no section ''" in run("report", "study.toml", "--section", "").err
    assert "no report in the language 'fr'" in run("report", "study.toml", "--lang", "fr").err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("setting", ["rule.idle_days", "=3", "idle_days=3"])
def test_set_that_is_no_setting(run: Callable[..., Run], tmp_path: Path, setting: str) -> None:
    write_study(tmp_path)
    done = run("check", "study.toml", "--set", setting)
    assert done.code == 2
    assert "rule.idle_days=45" in done.err + done.out


def test_check_lists_every_problem_at_once_and_writes_nothing(run: Callable[..., Run], tmp_path: Path) -> None:
    write_study(tmp_path, rule={"idle_day": 30}, groups={"by": ["chanel"]}, cox={"formula": "channel", "tie": "efron"})
    before = snapshot(tmp_path)
    done = run("check", "study.toml")
    assert done.code == 2
    assert "rule.idle_day" in done.out
    assert "cox.tie" in done.out
    write_study(tmp_path, groups={"by": ["chanel", "duration"]}, cox={"formula": "channle", "tie": "efron"})
    before = snapshot(tmp_path)
    done = run("check", "study.toml")
    assert [line.split(".")[0] for line in done.out.splitlines() if line.startswith("error")] == [
        "error: study: cox", "error: study: groups", "error: study: groups", "error: study: cox",
    ]  # fmt: skip
    assert done.out.count("Did you mean 'channel'?") == 2
    assert "'duration' is part of the outcome" in done.out
    assert "cannot run (4 errors" in done.err
    assert snapshot(tmp_path) == before


# ------------------------------------------------------------------------------------------------- the daily run


def test_tiers_then_score(run: Callable[..., Run], tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "warning.tiers.high": {"precision": 0.5},
        "score": {"ready": {"replay": 0}, "monitor": {"train": 2000}},
    }
    write_study(tmp_path, **settings)
    early = run("score", "study.toml", "--as-of", "2025-05-01")
    assert early.code == 2
    assert "Fit the tiers of the study once: churnsurv tiers STUDY" in early.err
    fitted = run("tiers", "study.toml", "--until", "2025-03-31")
    assert fitted.code == 0, fitted.err
    assert fitted.out.startswith("high: ")
    assert fitted.out.endswith("\nTiers: tiers.json\n")
    before = snapshot(tmp_path)
    not_ready = run("score", "study.toml", "--as-of", "2025-07-15")
    assert not_ready.code == 3
    assert "2025-07-15 is not ready:\n  log: The log ends on 2025-06-29, 16 days before" in not_ready.err
    assert not_ready.out == ""
    assert snapshot(tmp_path) == before
    done = run("score", "study.toml", "--as-of", "2025-05-01", "--set", "score.ready.thin=0")
    assert done.code == 0, done.err
    assert f"Page: {Path('score/alerts/as_of=2025-05-01/operators.html')}" in done.out
    assert "\nReturns: " in done.out
    written = snapshot(tmp_path)
    run("score", "study.toml", "--as-of", "2025-05-01", "--set", "score.ready.thin=0")
    assert snapshot(tmp_path) == written
    assert "as_of must be a date" in run("score", "study.toml", "--as-of", "yesterday").err


# ---------------------------------------------------------------------------------------------------- bad input


def drop(table: str, column: str) -> dict[str, pd.DataFrame]:
    return {table: getattr(APP, table).drop(columns=column)}


def all_censored() -> dict[str, pd.DataFrame]:
    users = APP.users.assign(registered_at=pd.Timestamp("2025-06-10"))
    events = APP.events[APP.events["event_at"] > "2025-06-11"]
    return {"users": users, "events": events}


def separated() -> dict[str, pd.DataFrame]:
    """A category of users who are active on every tenth day to the end: none of them churns."""
    loyal = pd.DataFrame(
        {"user_id": range(10_001, 10_041), "registered_at": pd.Timestamp("2025-01-01"), "channel": "loyal"}
    )
    days = pd.date_range("2025-01-01", "2025-06-29", freq="10D")
    visits = pd.DataFrame([(user, day, "login") for user in loyal["user_id"] for day in days])
    visits.columns = pd.Index(["user_id", "event_at", "kind"])
    return {
        "users": pd.concat([APP.users[["user_id", "registered_at", "channel"]], loyal]),
        "events": pd.concat([APP.events[["user_id", "event_at", "kind"]].astype({"kind": str}), visits]),
    }


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "missing file": ({"sources": {"events": "event.parquet", "users": "users.parquet"}}, "Did you mean"),
    "missing column": (
        {"events": APP.events.rename(columns={"event_at": "event_att"})},
        "'event_at' is missing. Did you mean 'event_att'?",
    ),
    "missing kind": (drop("events", "kind"), "'kind' is missing"),
    "wrong dtype": ({"events": APP.events.assign(event_at=1_700_000_000)}, "to_datetime"),
    "dates that don't parse": ({"users": APP.users.assign(registered_at="soon")}, "soon"),
    "empty table": ({"events": APP.events.head(0)}, "no rows"),
    "all users censored": (all_censored(), "Nobody churned"),
    "one group only": ({"users": APP.users.assign(channel="organic")}, "one value only"),
    "covariate without variance": (
        {"users": APP.users.assign(same=1.0), "cox": {"formula": "channel + same"}},
        "same",
    ),
    "collinear columns": (
        {"users": APP.users.assign(twin=APP.users["channel"]), "cox": {"formula": "channel + twin"}},
        "twin",
    ),
    "separation": (separated(), "loyal"),
    "group column missing": ({"groups": {"by": ["chanel"]}}, "Did you mean 'channel'?"),
    "formula column missing": ({"cox": {"formula": "channel + devise"}}, "Did you mean 'device'?"),
    "formula with a left side": ({"cox": {"formula": "churned ~ channel"}}, "left side"),
    "reference that never occurs": ({"cox": {"formula": "channel", "reference": {"channel": "organik"}}}, "organic"),
    "kind that never occurs": ({"rule": {"activity": ["log-in"]}}, "Did you mean 'login'?"),
    "unknown key": ({"rule": {"idle_day": 30}}, "Did you mean 'idle_days'?"),
    "wrong type": ({"rule": {"idle_days": "30"}}, "expected a whole number"),
}


@pytest.mark.parametrize("case", list(BAD))
def test_bad_input_is_one_message_and_leaves_the_output_alone(
    run: Callable[..., Run], tmp_path: Path, case: str
) -> None:
    settings, expected = BAD[case]
    write_study(tmp_path, **settings)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/kept.txt").write_text("kept", encoding="utf-8")
    earlier = {"kind": "churnsurv report", "files": {"kept.txt": {}}}
    (tmp_path / "out/manifest.json").write_text(json.dumps(earlier), encoding="utf-8")
    before = snapshot(tmp_path)
    done = run("report", "study.toml")
    assert done.code == 2, done
    assert expected in done.err
    assert done.err.startswith("churnsurv: ")
    assert "Traceback" not in done.err
    assert done.out == ""
    assert snapshot(tmp_path) == before
    checked = run("check", "study.toml")
    assert checked.code == 2
    assert expected in checked.out


def test_a_query_that_fails(run: Callable[..., Run], tmp_path: Path) -> None:
    path = write_study(tmp_path)
    query = "{ sql = \"SELECT * FROM 'events.parquet' WHERE nonsense\" }"
    path.write_text(path.read_text(encoding="utf-8").replace('"events.parquet"', query), encoding="utf-8")
    done = run("report", "study.toml")
    assert done.code == 2
    assert "nonsense" in done.err
    assert "Traceback" not in done.err


def test_files_that_are_no_study(run: Callable[..., Run], tmp_path: Path) -> None:
    assert "There is no study file" in run("report", "none.toml").err
    (tmp_path / "bad.toml").write_text("[study", encoding="utf-8")
    assert "is not TOML" in run("check", "bad.toml").err
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    done = run("check", "binary.toml")
    assert (done.code, "UTF-8" in done.err) == (2, True)
    assert run("report", ".").code == 2


def test_a_folder_with_work_of_others_is_not_replaced(run: Callable[..., Run], tmp_path: Path) -> None:
    write_study(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("mine", encoding="utf-8")
    done = run("report", "study.toml")
    assert done.code == 2
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_a_demo_that_cannot_be(run: Callable[..., Run], tmp_path: Path) -> None:
    done = run("demo", "shown", "--users", "0")
    assert (done.code, "n_users must be" in done.err) == (2, True)
    assert not (tmp_path / "shown").exists()


# --------------------------------------------------------------------------------------------- codes and output


@pytest.mark.parametrize(
    ("error", "code"),
    [(ch.InputError("x"), 2), (ch.ConvergenceError("x"), 2), (ch.DataNotReadyError("x"), 3)],
)
def test_errors_have_their_exit_codes(
    run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch, error: ch.ChurnsurvError, code: int
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("churnsurv.study.Study.from_toml", fail)
    done = run("report", "study.toml")
    assert (done.code, done.err) == (code, "churnsurv: x\n")


def test_warnings_are_messages_without_a_line_of_code(run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    def warn(*_: object, **__: object) -> None:
        warnings.warn("No font.", ch.errors.ChurnsurvWarning, stacklevel=1)
        warnings.warn("Of others.", FutureWarning, stacklevel=1)
        raise ch.InputError("x")

    monkeypatch.setattr("churnsurv.study.Study.from_toml", warn)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        # pytest keeps what is shown in the usual way to itself
        monkeypatch.setattr(warnings, "showwarning", lambda *given, **_: sys.stderr.write(f"{given[1].__name__}\n"))
        assert run("report", "study.toml").err == "churnsurv: No font.\nFutureWarning\nchurnsurv: x\n"


@pytest.mark.parametrize(("end", "code"), [(KeyboardInterrupt(), 130), (SystemExit(143), 143)])
def test_a_run_that_is_stopped_says_so(
    run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch, end: BaseException, code: int
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise end

    monkeypatch.setattr("churnsurv.study.Study.from_toml", fail)
    done = run("report", "study.toml")
    assert (done.code, done.out) == (code, "")
    assert "stopped before the end" in done.err


def test_an_unexpected_error_is_ours(run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr("churnsurv.study.Study.from_toml", fail)
    done = run("report", "study.toml")
    assert done.code == 1
    assert "unexpected RuntimeError: broken" in done.err
    assert "Traceback" not in done.err
    with pytest.raises(RuntimeError, match="broken"):
        run("--debug", "report", "study.toml")


@pytest.mark.parametrize("arguments", [("report",), ("nonsense",), ("demo", "--users", "many"), ("check", "a", "b")])
def test_wrong_usage_is_exit_code_2(run: Callable[..., Run], arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert done.code == 2
    assert "Usage" in done.err


@pytest.mark.usefixtures("few_pictures")
def test_user_text_cannot_steer_the_terminal(run: Callable[..., Run], tmp_path: Path) -> None:
    users = APP.users.assign(channel=APP.users["channel"].replace("organic", "[red]\x1b[31m分銷"))
    write_study(tmp_path, users=users)
    done = run("report", "study.toml")
    assert done.code == 0, done.err
    assert "\x1b" not in done.out
    assert "[red]" in done.out
    assert "分銷" in done.out


def test_it_runs_as_a_module_and_without_a_bar_where_there_is_no_terminal(tmp_path: Path) -> None:
    write_study(tmp_path, rule={"sensitivity": []}, groups={}, cox={})
    command = [sys.executable, "-m", "churnsurv", "report", "study.toml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, encoding="utf-8")
    assert (done.returncode, done.stderr) == (0, "")
    assert "\r" not in done.stdout
    shown = subprocess.run(
        [sys.executable, "-m", "churnsurv", "--version"], capture_output=True, text=True, check=True
    ).stdout
    assert shown.strip() == f"churnsurv {ch.__version__}"


def test_a_killed_run_leaves_no_file_behind(tmp_path: Path) -> None:
    """The engine's folder for spilled data goes, and so does a draft of the report."""
    study = write_study(tmp_path)
    spill = tmp_path / "spill"
    spill.mkdir()
    command = [sys.executable, "-m", "churnsurv", "report", str(study)]
    process = subprocess.Popen(command, env={**os.environ, "TMPDIR": str(spill)})
    deadline = time.monotonic() + 60
    while not list(spill.glob("churnsurv-*")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.terminate()
    assert process.wait(60) != 0
    assert not list(spill.glob("churnsurv-*"))
    assert {file.name for file in tmp_path.iterdir()} == {"events.parquet", "spill", "study.toml", "users.parquet"}
