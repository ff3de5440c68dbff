"""The daily run: what it writes, that it writes it again, and that nothing is written or recorded where it must not."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from churnsurv.action.ledger import Ledger
from churnsurv.action.plan_inputs import positions
from churnsurv.action.readiness import Readiness
from churnsurv.action.readiness_words import Checked
from churnsurv.errors import DataNotReadyError, InputError, SchemaError
from churnsurv.report import whole_folder
from churnsurv.study import Study, check_study, score_folders
from churnsurv.study.score import log_of_day
from churnsurv.study.score_before import before_of
from churnsurv.study.score_check import daily_problems
from churnsurv.study.score_folders import parquet_bytes
from churnsurv.study.score_monitor import Watched, open_alarms, watch_returns
from churnsurv.study.side_tables import people_of
from churnsurv.tables import schema

STUDY = """
[sources]
events = "events.parquet"
users = "users.parquet"
balances = "balances.parquet"
opt_outs = "opt_outs.csv"
[window]
observed_until = 2025-04-30
[warning]
variables = ["balance"]
missing = { balance = 0 }
[warning.tiers.high]
precision = 0.6
[warning.tiers.low]
per_day = 3
[score]
policy = "policy.toml"
late = 100
hysteresis = { balance = 0.1 }
[score.ready]
replay = 0
[score.monitor]
on = false
"""
POLICY = """
campaign = "spring"
key = "6f1d0c9be2a84735"
holdout = 0.2
[channels.sms]
cost = 0.08
[channels.push]
[contacts]
high = ["sms"]
low = ["push", { channel = "sms", after = 3 }]
[[offers]]
name = "=envelope"
when = ["total_amount >= 100000"]
reward = { share = 0.01 }
"""
OF_A_PLAN = ("plan.csv", "plan.parquet", "contacts.csv", "contacts.parquet", "operators.html", "manifest.json")
FIRST, SECOND, THIRD = "2025-05-05", "2025-05-06", "2025-05-07"


@pytest.fixture(scope="module")
def fitted(app_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with its tiers, and the tables of the app beside it."""
    folder = tmp_path_factory.mktemp("fitted")
    for name in ("events", "users", "balances"):
        (folder / f"{name}.parquet").symlink_to(app_folder / f"{name}.parquet")
    (folder / "study.toml").write_text(STUDY, encoding="utf-8")
    (folder / "policy.toml").write_text(POLICY, encoding="utf-8")
    (folder / "opt_outs.csv").write_text("user_id,channel\n", encoding="utf-8")
    path = Study.from_toml(folder / "study.toml").fit_tiers("2025-03-31")
    assert path == folder / "tiers.json"
    return folder


@pytest.fixture(scope="module")
def recorded(fitted: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study after the run of its first day."""
    folder = tmp_path_factory.mktemp("recorded") / "run"
    shutil.copytree(fitted, folder, symlinks=True)
    Study.from_toml(folder / "study.toml").score(FIRST)
    return folder


def copy_of(folder: Path, to: Path) -> Callable[..., Study]:
    shutil.copytree(folder, to, symlinks=True)

    def read(**settings: object) -> Study:
        dotted = {key.replace("__", "."): value for key, value in settings.items()}
        return Study.from_toml(to / "study.toml", dotted)

    return read


@pytest.fixture
def study(fitted: Path, tmp_path: Path) -> Callable[..., Study]:
    """The study in a folder of its own."""
    return copy_of(fitted, tmp_path / "run")


@pytest.fixture
def done(recorded: Path, tmp_path: Path) -> Callable[..., Study]:
    """The study in a folder of its own, where its first day is done."""
    return copy_of(recorded, tmp_path / "run")


def opt_out(folder: Path) -> int:
    """Let the first user whom the first day contacts opt out."""
    ledger = Ledger(folder / "contacts.duckdb")
    user = int(ledger.contacts["user_id"].iloc[0])
    (folder / "opt_outs.csv").write_text(f"user_id,channel\n {user},\n", encoding="utf-8")
    return user


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_day_is_recorded_and_written_and_comes_out_again(study: Callable[..., Study]) -> None:
    here = study()
    done = here.score(FIRST)
    written = files(here.base / "score")
    alerts, plan = f"alerts/as_of={FIRST}", f"plan/as_of={FIRST}"
    assert sorted(written) == sorted(
        [f"{alerts}/{name}" for name in ("alerts.csv", "alerts.parquet", "manifest.json")]
        + [f"{plan}/{name}" for name in OF_A_PLAN]
    )
    assert done.page == here.base / "score" / plan / "operators.html"
    assert done.plan is not None
    assert done.recorded is not None
    assert not done.recorded.already
    found = pq.read_table(here.base / "score" / alerts / "alerts.parquet").to_pandas()
    assert found["user_id"].tolist() == done.alerts.table["user_id"].tolist()
    sent = pd.read_csv(here.base / "score" / plan / "contacts.csv")
    assert sent["user_id"].tolist() == done.plan.contacts["user_id"].tolist()
    assert len(sent) > 5
    assert "'=envelope" in written[f"{plan}/plan.csv"].decode() or not sent["offer"].notna().any()
    told = json.loads(written[f"{plan}/manifest.json"])
    assert (told["as_of"], told["dry_run"], told["campaign"]) == (FIRST, False, "spring")
    assert "6f1d0c9be2a84735" not in "".join(content.decode("latin-1") for content in written.values())

    # the same day again, and once more when a later one is recorded: nothing is recorded twice, the same bytes
    again = study().score(FIRST)
    assert again.recorded is not None
    assert again.recorded.already
    assert files(here.base / "score") == written
    assert study().score(THIRD).recorded is not None
    ledger = Ledger(here.base / "contacts.duckdb")
    recorded = len(ledger.contacts)
    assert "had been recorded before" in study().score(FIRST).to_text()
    assert {name: each for name, each in files(here.base / "score").items() if FIRST in name} == written

    # a day between them was never recorded: a dry run, without a file that could be sent
    late = study().score(SECOND)
    assert late.dry_run
    assert late.recorded is None
    assert not (here.base / f"score/plan/as_of={SECOND}/contacts.csv").exists()
    assert json.loads((late.page.parent / "manifest.json").read_text())["dry_run"] is True
    assert "nothing of it is to be sent" in late.page.read_text(encoding="utf-8")
    assert len(ledger.contacts) == recorded

    # a dry run stands beside them
    looked = study().score(FIRST, dry_run=True)
    assert "dry-run" in looked.page.parts
    assert {name: each for name, each in files(here.base / "score").items() if name in written} == written
    assert len(ledger.contacts) == recorded


def test_what_has_changed_since_a_day_was_done_is_said_and_its_files_stay(done: Callable[..., Study]) -> None:
    here = done()
    written = files(here.base / "score")
    user = opt_out(here.base)
    again = here.score(FIRST)
    assert again.opted_out == (user,)
    assert again.recorded is not None
    assert again.recorded.already
    assert "Its files stay. " in again.to_text()
    assert f"1 of its contacts have opted out since: {user}." in again.to_text()
    assert files(here.base / "score") == written

    # files that somebody deleted come from the ledger, but for who has opted out since
    plan = here.base / f"score/plan/as_of={FIRST}"
    sent = pq.read_table(plan / "contacts.parquet").to_pandas()
    shutil.rmtree(plan)
    anew = done().score(FIRST)
    assert "were written from the ledger" in anew.to_text()
    found = pq.read_table(plan / "contacts.parquet").to_pandas()
    kept = sent[sent["user_id"] != user].sort_values("user_id").reset_index(drop=True)
    same = ["user_id", "step", "channel", "offer", "cost", "send_from", "send_until"]
    pd.testing.assert_frame_equal(found[same], kept[same])
    assert "The files of this day were gone." in anew.page.read_text(encoding="utf-8")
    assert done().score(FIRST).remarks[0].startswith("Done before. Its files stay.")


def test_a_day_that_is_not_there_leaves_nothing(study: Callable[..., Study], monkeypatch: pytest.MonkeyPatch) -> None:
    here = study()
    before = files(here.base)
    with pytest.raises(DataNotReadyError, match=r"2026-01-01 is not ready:\n  log: The log ends on"):
        here.score("2026-01-01")
    jumped = Checked("new alerts", 90, 1.0, 0.0, 5.0, "not ready", "90 new alerts; 1 expected.")
    monkeypatch.setattr(Readiness, "with_alerts", lambda self, *_, **__: Readiness(self.as_of, (*self.checks, jumped)))
    with pytest.raises(DataNotReadyError, match="new alerts: 90 new alerts; 1 expected"):
        here.score(FIRST)
    assert files(here.base) == before


def test_alerts_alone_without_a_policy(study: Callable[..., Study]) -> None:
    here = study()
    text = STUDY.replace('policy = "policy.toml"\n', "").replace('opt_outs = "opt_outs.csv"\n', "")
    (here.base / "study.toml").write_text(text, encoding="utf-8")
    done = study(score__ready={"replay": 1}).score(FIRST)
    assert done.plan is None
    assert done.readiness.table["check"].tolist()[-2:] == ["users in tiers", "new alerts"]
    assert sorted(path.name for path in done.page.parent.iterdir()) == [
        "alerts.csv", "alerts.parquet", "manifest.json", "operators.html",
    ]  # fmt: skip
    assert not (here.base / "contacts.duckdb").exists()


class KilledError(BaseException):
    """A run that ends here, as when it is killed: nothing is cleared away."""


def test_killed_between_ledger_and_files_a_later_run_finds_them(
    study: Callable[..., Study], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = study(score__monitor={"train": 2000})

    def kill(*_: object) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(whole_folder, "_take_the_place", kill)
        with pytest.raises(KilledError):
            here.score(FIRST)
    ledger = Ledger(here.base / "contacts.duckdb")
    recorded = ledger.contacts
    assert len(recorded) > 5
    assert not list((here.base / "score").rglob("as_of=*"))
    user = opt_out(here.base)  # whatever changes meanwhile, the contacts are those recorded
    done = study().score(FIRST)
    assert "A run before had made its files; they were put in place. " in done.to_text()
    assert done.opted_out == (user,)
    pd.testing.assert_frame_equal(ledger.contacts, recorded)
    sent = pd.read_csv(done.page.parent / "contacts.csv")
    assert sorted(sent["user_id"]) == sorted(recorded["user_id"])
    assert sorted(path.name for path in done.page.parent.parent.iterdir()) == [f"as_of={FIRST}"]
    assert [path.name for path in (here.base / "score/monitor").iterdir()] == [f"as_of={FIRST}"]


def test_killed_before_the_ledger_nothing_is_sent(study: Callable[..., Study], monkeypatch: pytest.MonkeyPatch) -> None:
    here = study()

    def kill(*_: object) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "record", kill)
        with pytest.raises(KilledError):
            here.score(FIRST)
    staged = list((here.base / "score").glob("*/.as_of=*"))
    assert len(staged) == 2
    assert not (here.base / "contacts.duckdb").exists()
    assert before_of(here.base / "score", Ledger(here.base / "contacts.duckdb"), "spring", date(2025, 5, 5)) is None
    assert not any(path.exists() for path in staged)


def test_a_place_that_cannot_be_written_is_found_before_anything_is_recorded(study: Callable[..., Study]) -> None:
    here = study()
    (here.base / "score").mkdir()
    (here.base / "score/plan").write_text("in the way", encoding="utf-8")
    with pytest.raises(InputError, match="The plan can't be written"):
        here.score(FIRST)
    assert not (here.base / "contacts.duckdb").exists()
    assert list(files(here.base / "score")) == ["plan"]


def test_a_ledger_that_does_not_know_what_was_sent_stops_the_run(done: Callable[..., Study]) -> None:
    here = done()
    (here.base / "contacts.duckdb").unlink()
    before = files(here.base)
    for day in (FIRST, SECOND):
        with pytest.raises(InputError, match=f"the contacts of {FIRST} of campaign 'spring', and the ledger.*no plan"):
            here.score(day)
    assert files(here.base) == before


def test_another_campaign_does_not_replace_contacts_of_the_day(done: Callable[..., Study]) -> None:
    here = done()
    policy = here.base / "policy.toml"
    policy.write_text(POLICY.replace('"spring"', '"summer"'), encoding="utf-8")
    before = files(here.base)
    with pytest.raises(InputError, match=r"of campaign 'spring', which may not have been sent.*\[score\] folder"):
        here.score(FIRST)
    assert files(here.base) == before


def test_a_first_run_on_a_past_day_is_dry(study: Callable[..., Study]) -> None:
    here = study(score__late=2)
    done = here.score(FIRST)
    assert done.dry_run
    assert "lies 55 days before the end of the log, 2025-06-29" in done.to_text()
    assert not (here.base / "contacts.duckdb").exists()
    assert not (done.page.parent / "contacts.csv").exists()


def test_what_stands_in_the_way_is_found_before_anything_is_recorded(study: Callable[..., Study]) -> None:
    here = study()
    place = here.base / f"score/plan/as_of={FIRST}"
    place.mkdir(parents=True)
    (place / "mine.xlsx").write_text("work", encoding="utf-8")
    with pytest.raises(InputError, match="no manifest of a plan"):
        here.score(FIRST)
    assert not (here.base / "contacts.duckdb").exists()
    assert list(files(here.base / "score")) == [f"plan/as_of={FIRST}/mine.xlsx"]


def test_a_ledger_that_cannot_be_written_leaves_no_files(
    study: Callable[..., Study], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = study()

    def busy(*_: object) -> None:
        raise DataNotReadyError("another process has the ledger open")

    monkeypatch.setattr(Ledger, "record", busy)
    with pytest.raises(DataNotReadyError, match="has the ledger open"):
        here.score(FIRST)
    assert not files(here.base / "score")


# ----------------------------------------------------------------------------------------------------- the monitor

FEWER = "ios"
WATCHED = {"by": "device", "train": 56, "watch": 14, "min_users": 30}


@pytest.fixture(scope="module")
def watched(fitted: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study with users who come often, and of one device hardly any more from 1 May on."""
    folder = tmp_path_factory.mktemp("watched") / "run"
    shutil.copytree(fitted, folder, symlinks=True)
    users = pd.read_parquet(folder / "users.parquet")
    users = users[users["registered_at"].astype("datetime64[s]") < pd.Timestamp("2024-11-01")]
    days, rng = pd.date_range("2024-12-01", "2025-05-08"), np.random.default_rng(3)
    device = users["device"].to_numpy()
    left = (device == FEWER)[:, None] & (days >= pd.Timestamp("2025-05-01"))
    user, day = np.nonzero(rng.random((len(users), len(days))) < np.where(left, 0.15, 0.4))
    found = pd.DataFrame({"user_id": users["user_id"].to_numpy()[user], "kind": "login", "amount": 0.0})
    at = days[day] + pd.to_timedelta(rng.integers(0, 86_400, len(found)), unit="s")
    write_events(folder, found.assign(event_at=at))
    return folder


def write_events(folder: Path, events: pd.DataFrame) -> None:
    path = folder / "events.parquet"
    path.unlink()
    events.to_parquet(path, index=False)


def test_fewer_returns_come_out_in_files_page_and_words(watched: Path, tmp_path: Path) -> None:
    here = copy_of(watched, tmp_path / "run")(score__monitor=WATCHED)
    done = here.score(FIRST)
    place = here.base / f"score/monitor/as_of={FIRST}"
    names = ("alarms", "carriers", "days", "groups")
    assert sorted(path.name for path in place.iterdir()) == sorted(
        ["manifest.json", *(f"{name}.{kind}" for name in names for kind in ("csv", "parquet"))]
    )
    told = json.loads((place / "manifest.json").read_text())
    assert (told["kind"], told["watched"], told["open_alarms"]) == ("churnsurv monitor", True, [FEWER])
    alarm = pq.read_table(place / "alarms.parquet").to_pandas().iloc[-1]
    assert (alarm["group"], alarm["ended_on"]) == (FEWER, None)
    assert alarm["begun_lower"] <= date(2025, 5, 1) <= alarm["begun_upper"]
    days = pd.read_csv(place / "days.csv")
    since = days[(days["group"] == FEWER) & (days["date"] >= str(alarm["begun"]))]
    assert since["expected"].sum() - since["observed"].sum() == pytest.approx(alarm["missing"])
    assert since["date"].max() == FIRST
    (shown,) = open_alarms(done.watched.monitor)
    assert 0 < shown["missing_lower"] < alarm["missing"] < shown["missing_upper"]
    said = f"Returns: fewer than expected in device {FEWER} since {alarm['begun']}"
    assert said in done.to_text()
    assert "  missing by stage: " in done.to_text()
    page = done.page.read_text(encoding="utf-8")
    assert page.index("Fewer users return than expected") < page.index("Today&#39;s contacts")
    assert f"about {alarm['missing']:,.0f} returns missing" in page

    # the same bytes when run again
    assert done.recorded is not None
    written = files(here.base / "score")
    again = here.score(FIRST)
    assert files(here.base / "score") == written
    assert said in again.to_text()
    assert again.folders[1].parent.name == "monitor"


def test_a_day_that_is_half_there_is_no_alarm(watched: Path, tmp_path: Path) -> None:
    read = copy_of(watched, tmp_path / "run")
    events = pd.read_parquet(tmp_path / "run/events.parquet")
    half = (events["event_at"].dt.date == date.fromisoformat(SECOND)) & (np.arange(len(events)) % 3 > 0)
    write_events(tmp_path / "run", events[~half])
    with pytest.raises(DataNotReadyError, match=f"{SECOND} is not ready") as raised:
        read(score__monitor=WATCHED).score(SECOND)
    assert raised.value.exit_code == 3
    assert not (tmp_path / "run/score").exists()
    # never mended, it is left out of what the next day says
    after = read(score__monitor=WATCHED).score(THIRD, dry_run=True)
    assert after.watched is not None
    assert after.watched.left_out == (date.fromisoformat(SECOND),)
    assert f"  Not loaded in full, and not judged: {SECOND}." in after.to_text()
    assert "Not loaded in full, and not judged: 6 May 2025." in after.page.read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", ["outage", "holiday"])
def test_an_outage_in_the_calendar_silences_no_alarm_and_a_holiday_is_said_to(
    kind: str, watched: Path, tmp_path: Path
) -> None:
    entry = f'[[calendar]]\nname = "x"\nkind = "{kind}"\nfirst = 2025-05-01\nlast = 2025-05-05\n'
    read = copy_of(watched, tmp_path / "run")
    path = tmp_path / "run/study.toml"
    path.write_text(path.read_text(encoding="utf-8") + entry, encoding="utf-8")
    study = read(score__monitor=WATCHED | {"by_stage": False})
    ready: Any = SimpleNamespace(as_of=date.fromisoformat(FIRST), ready=True)
    found = watch_returns(study, log_of_day(study), ready)
    assert found is not None
    text, facts = found.to_text(), found.facts()
    if kind == "outage":
        assert "fewer than expected in device ios since 2025-05-01" in text
        assert "judged" not in text
        assert (facts["judged"], facts["unjudged"], facts["partly"]) == (True, [], [])
    else:
        assert text == (
            "Returns: 2025-05-05 is not judged: a holiday of a kind that the days learnt from lack.\n"
            f"Returns: no alarm; {facts['charts']} charts before it.\n"
            "  Not judged, as holidays of a kind that the days learnt from lack: 2025-05-01, 2025-05-02, 2025-05-03, "
            "2025-05-04."
        )
        assert facts["judged"] is False
        assert facts["unjudged"] == [f"2025-05-0{day}" for day in (1, 2, 3, 4)]


def test_an_alarm_names_the_groups_that_it_is_of() -> None:
    row = {"group": "(small)", "ratio": 0.7, "lower": 0.6, "upper": 0.8, "missing": 9.0}
    row |= {"missing_lower": 5.0, "missing_upper": 12.0, "alarm_on": "2025-05-03", "begun": "2025-05-01"}
    row |= {"begun_lower": "2025-04-30", "begun_upper": "2025-05-02"}
    judged = pd.DataFrame(
        {"date": pd.to_datetime(["2025-05-05"] * 2), "group": ["a", "(all)"], "judged": [True, False]}
    )

    def said(pooled: str | None, *others: str) -> str:
        groups = pd.DataFrame({"group": ["(small)", *others], "pooled": [pooled, *[None] * len(others)]})
        none = pd.DataFrame(columns=["group", "alarm_on"])
        monitor: Any = SimpleNamespace(
            open_alarms=pd.DataFrame([row]), groups=groups, carriers=none, by="channel", table=judged
        )
        keys: Any = None
        return Watched(date(2025, 5, 5), keys, monitor, None).to_text().partition(" since ")[0]

    assert said("ads, distribution, host, pr, seo", "paid") == (
        "Returns: fewer than expected in channel ads, distribution and 3 more together"
    )
    assert said("ads, seo", "paid") == "Returns: fewer than expected in channel ads and seo together"
    assert said("seo", "paid") == "Returns: fewer than expected in channel seo"
    assert said("ads, seo") == "Returns: fewer than expected in all users together"


def test_a_log_that_cannot_be_watched_is_said_to_be_and_the_day_goes_on(done: Callable[..., Study]) -> None:
    here = done(score__monitor={"train": 2000})
    found = here.score(SECOND)
    assert "Returns: not watched. The log begins on" in found.to_text()
    assert found.recorded is not None
    place = here.base / f"score/monitor/as_of={SECOND}"
    assert [path.name for path in place.iterdir()] == ["manifest.json"]
    assert json.loads((place / "manifest.json").read_text())["watched"] is False
    assert "Returns are not watched. The log begins on" in found.page.read_text(encoding="utf-8")
    wrong = done(score__monitor={"by": "devise"})
    assert [where for where, _ in daily_problems(wrong)] == ["score.monitor.by"]
    with pytest.raises(SchemaError, match="devise"):
        wrong.score(THIRD)


# ------------------------------------------------------------------------------------------------------- bad input


def test_a_policy_without_opt_outs_is_refused(study: Callable[..., Study]) -> None:
    here = study()
    (here.base / "study.toml").write_text(STUDY.replace('opt_outs = "opt_outs.csv"\n', ""), encoding="utf-8")
    with pytest.raises(InputError, match=r"sources\.opt_outs: is missing, and without it nobody may be contacted"):
        study()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"score__scheme": "none.json"}, "Fit the tiers of the study once: churnsurv tiers"),
        ({"score__policy": "polcy.toml"}, "polcy"),
        ({"sources__opt_outs": "none.csv"}, "there is no file 'none.csv'"),
    ],
)
def test_files_that_are_missing(study: Callable[..., Study], settings: dict[str, object], message: str) -> None:
    here = study(**settings)
    before = files(here.base)
    with pytest.raises(InputError, match=message):
        here.score(FIRST)
    assert files(here.base) == before


def test_check_names_what_the_daily_run_would_fail_on(study: Callable[..., Study]) -> None:
    here = study()
    (here.base / "policy.toml").write_text(POLICY.replace("low = ", "lowest = "), encoding="utf-8")
    assert [where for where, _ in daily_problems(study())] == ["score.policy"]
    (here.base / "policy.toml").write_text(POLICY, encoding="utf-8")
    assert not list(daily_problems(study()))
    found = check_study(here.base / "study.toml", {"who_churns.on": False, "warning.on": False, "rule.idle_days": 45})
    assert "were fitted under 30 days" in " ".join(problem.advice for problem in found.problems)


def test_ids_of_opt_outs_keep_their_zeros(study: Callable[..., Study]) -> None:
    here = study()
    (here.base / "opt_outs.csv").write_text("client,channel\n007,\nNA,\n", encoding="utf-8")
    here = study(columns__opt_outs={"user_id": "client"})
    found = people_of("opt_outs", here.config, here.base, here.log.engine)
    assert found is not None
    assert found["user_id"].tolist() == ["007", "NA"]


def test_ids_match_whatever_spaces_are_around_them_and_another_case_is_refused() -> None:
    ids = pd.Index(["u1015", "u976"])
    assert positions(ids, pd.Series(["u1015 ", "u9", " u976"]), "opt_outs").tolist() == [0, -1, 1]
    assert positions(pd.Index([7]), pd.Series(["7 "]), "opt_outs").tolist() == [0]
    with pytest.raises(SchemaError, match="'U976' is 'u976' in the alerts, but for upper and lower case"):
        positions(ids, pd.Series(["u1015", "U976"]), "opt_outs")


def test_who_loses_a_race_of_two_days_may_try_again(
    done: Callable[..., Study], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = done()
    planned = Ledger.record

    def overtaken(self: Ledger, plan: Any) -> Any:
        monkeypatch.setattr(Ledger, "record", planned)
        done().score(SECOND)
        return planned(self, plan)

    monkeypatch.setattr(Ledger, "record", overtaken)
    with pytest.raises(DataNotReadyError, match="days before it have been recorded since"):
        here.score(THIRD)
    assert not (here.base / f"score/plan/as_of={THIRD}").exists()


def test_the_tiers_of_a_study_without_any(study: Callable[..., Study]) -> None:
    here = study()
    (here.base / "study.toml").write_text(STUDY.split("[warning.tiers.high]")[0], encoding="utf-8")
    with pytest.raises(InputError, match=r"The study has no tiers.*\[warning\.tiers\.high\]"):
        study().fit_tiers()


def test_parquet_has_the_types_of_the_layout_whatever_is_in_it() -> None:
    assert score_folders.PLAN.kind == "churnsurv plan"
    empty = pd.DataFrame(columns=schema("plan").names)
    types = {field.name: str(field.type) for field in pq.read_schema(io.BytesIO(parquet_bytes(empty, "plan")))}
    assert (types["date"], types["step"], types["cost"], types["escalated"]) == (
        "date32[day]",
        "int64",
        "double",
        "bool",
    )
