"""What has a goal of time or memory and no peer: each in a process of its own.

``python -m benchmarks goals``. CPU time says what the work costs; wall time also what else the machine had to do, for
which the load is told. Peak memory is that of the whole process, imports and inputs included.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.scale_cases import DAYS, FOLDER, log_files
from benchmarks.simulation import peak_mb

ASSIGNED, TARGETED, SEARCHED, EVENTS = 10_000_000, 1_000_000, 1_000_000, 50_000_000
DAILY = 1_000_000

_USERS = """
    SELECT u AS user_id, DATE '2023-01-01' + CAST(hash(u, 1) % 300 AS INTEGER) AS registered_at FROM range({n}) AS t(u)
"""
_EVENTS = """
    SELECT CAST(hash(i, 2) % {n} AS BIGINT) AS user_id,
        TIMESTAMP '2023-11-01' + INTERVAL (CAST(hash(i, 3) % 17000000 AS INTEGER)) SECOND AS event_at,
        CASE hash(i, 4) % 5 WHEN 0 THEN 'invest' WHEN 1 THEN 'redeem' ELSE 'login' END AS kind,
        CAST(hash(i, 5) % 100000 AS DOUBLE) / 100 AS amount
    FROM range(4 * {n}) AS t(i)
"""
_SENT = """
    SELECT u AS user_id, 'recall' AS campaign,
        CASE WHEN hash(u, 6) % 10 < 4 THEN 'holdout' WHEN hash(u, 6) % 10 < 7 THEN 'sms' ELSE 'push' END AS arm,
        TIMESTAMP '2024-03-01' + INTERVAL (CAST(hash(u, 7) % 4000000 AS INTEGER)) SECOND AS assigned_at, 0.08 AS cost
    FROM range({n}) AS t(u)
"""

Timed = dict[str, Any]


def _timed(run: Callable[[], Any]) -> Timed:
    start, cpu = time.perf_counter(), time.process_time()
    run()
    return {"seconds": time.perf_counter() - start, "cpu": time.process_time() - cpu}


def campaign() -> Timed:
    """Ten million assigned users, forty million events: every outcome, covariates, curves, bands, checks."""
    import duckdb

    import churnsurv as ch

    folder = FOLDER / f"campaign-{ASSIGNED}"
    if not folder.is_dir():
        draft = FOLDER / "campaign-draft"
        draft.mkdir(parents=True, exist_ok=True)
        with duckdb.connect() as db:
            for name, text in (("users", _USERS), ("events", _EVENTS), ("sent", _SENT)):
                db.execute(f"COPY ({text.format(n=ASSIGNED)}) TO '{draft}/{name}.parquet'")
        draft.rename(folder)

    def run() -> None:
        with ch.connect(memory_limit="2500MB") as engine:
            log = ch.ActivityLog(
                f"{folder}/events.parquet", f"{folder}/users.parquet", observed_until="2024-05-15", engine=engine
            )
            ch.campaign_lift(f"{folder}/sent.parquet", log, horizon=30)

    return _timed(run)


def targeting() -> Timed:
    """A million rows by two scores: curves, areas, bands, and what one score has over the other."""
    import numpy as np

    import churnsurv as ch
    from tests.recall.campaign import drawn_rows

    rows = drawn_rows(1, n=(TARGETED // 2, TARGETED // 2), horizon=10, base=0.05, censored=0.3)
    rng = np.random.default_rng(2)
    scores = {"x": rows.pre["x"], "noise": np.round(rng.normal(size=rows.n), 2)}
    return _timed(lambda: ch.targeting_curve(rows, scores=scores, covariates=()))


def rules() -> Timed:
    """The best rule for a value among a million gaps, which were counted before."""
    return _searched(precision=False)


def rules_for_a_precision() -> Timed:
    """The same for a precision of 60 %."""
    return _searched(precision=True)


def _searched(*, precision: bool) -> Timed:
    import numpy as np

    import churnsurv as ch
    from churnsurv.warning.tier_search import fit_tier
    from churnsurv.warning.training import train_on

    log = ch.simulate_app(SEARCHED // 10, seed=1).log
    training = train_on(
        log, ("balance", "n_investments"), grids=None, monotone=None, missing={"balance": 0.0}, until=None, blocks=1000
    )
    saving = ch.Saving.plateau(top=0.3, middle=20, width=3)
    worth = ch.Value(saved_value=100, contact_cost=5, saving=saving)
    until = np.full(training.counts.n.size, training.idle_days)
    none = np.zeros((0, training.counts.n_blocks))
    goal = ch.Precision(target=0.6) if precision else worth
    return _timed(lambda: fit_tier(training, goal, until, none, level=0.95, rounded=True)) | {
        "said": f"{int(training.gaps.sum()):,} gaps"
    }


def cut() -> Timed:
    """The cut of one variable among a million rows, its p-value corrected; no resamples."""
    import numpy as np
    import pandas as pd

    import churnsurv as ch

    rng = np.random.default_rng(1)
    data = pd.DataFrame({"duration": rng.integers(1, DAYS, SEARCHED), "churned": rng.random(SEARCHED) < 0.5})
    data["x"] = rng.normal(size=SEARCHED)
    return _timed(lambda: ch.cutpoint(data, "x", bootstrap=0, known_at="origin"))


def idle_risk() -> Timed:
    """The idle risk of fifty million events; beside it the spells of the same files."""
    import churnsurv as ch

    folder = log_files(EVENTS)["folder"].iloc[0]

    def log() -> ch.ActivityLog:
        return ch.ActivityLog(f"{folder}/events.parquet", f"{folder}/users.parquet", observed_until="2024-12-30")

    def all_spells() -> None:
        table = log().relation("spells")
        table.arrow(f"SELECT count(*) AS n, sum(duration) AS days FROM {table.name}")

    spells = _timed(all_spells)
    found = _timed(lambda: ch.idle_risk(log()))
    return found | {"said": f"{found['seconds'] / spells['seconds']:.2f} times the spells ({spells['seconds']:.1f} s)"}


def daily() -> Timed:
    """The day of a million users, 48 million events: readiness, alerts, plan, ledger, returns watched."""
    import datetime
    import tempfile
    from pathlib import Path

    import pandas as pd

    import churnsurv as ch
    from churnsurv.action.readiness_days import thin_days

    folder = FOLDER / f"app-{DAILY}"
    if not folder.is_dir():
        draft = FOLDER / "app-draft"
        ch.simulate_app(DAILY, campaigns=()).write(draft)
        draft.rename(folder)
    goal = {"high": ch.Precision(target=0.7), "medium": ch.Precision(target=0.4)}
    small = ch.simulate_app(20_000, campaigns=()).log
    scheme = ch.fit_tiers(
        small, variables=["balance", "n_investments"], missing={"balance": 0}, objective=goal, bootstrap=0
    )
    policy = ch.Policy(
        campaign="daily",
        key="5f0c8f4b9d3e4f0aa2c1d7e6b8a90c34",
        holdout=0.1,
        channels={"sms": {"cost": 0.08}, "push": {}},
        contacts={"high": ["sms"], "medium": ["push", {"channel": "sms", "after": 3}]},
        offers=[{"name": "voucher", "when": ["n_investments <= 2"]}],
        caps=[{"most": 3, "days": 30}],
    )
    said: list[str] = []

    def run() -> None:
        files = {name: f"{folder}/{name}.parquet" for name in ("events", "users", "balances")}
        day, start = datetime.date(2025, 6, 10), time.perf_counter()

        def lap(what: str) -> None:
            nonlocal start
            said.append(f"{what} {time.perf_counter() - start:.1f} s")
            start = time.perf_counter()

        log = ch.ActivityLog(files["events"], files["users"], balances=files["balances"])
        ch.readiness(log, as_of=day)
        lap("readiness")
        alerts = ch.alerts(scheme, log, as_of=day, hysteresis={"balance": 0.1}, features=policy.features)
        lap(f"{len(alerts.table):,} alerts")
        with tempfile.TemporaryDirectory() as place:
            ledger = ch.Ledger(Path(place, "contacts.duckdb"))
            plan = ch.plan_actions(
                alerts, policy, ledger=ledger, opt_outs=pd.DataFrame({"user_id": range(1, DAILY, 50)})
            )
            lap("plan")
            ledger.record(plan)
            lap("ledger")
        known = log.as_of(day)
        thin = thin_days(known, first=log.observed_from, last=day - datetime.timedelta(days=1))
        ch.churn_monitor(known, watch=28, leave_out=thin)
        lap("returns watched")

    return _timed(run) | {"said": "; ".join(said)}


def report() -> Timed:
    """The report of a million users, all questions of the demo: 44 figures drawn, page and PDF written."""
    import tempfile
    from pathlib import Path

    import churnsurv as ch
    from churnsurv.study.demo import write_demo

    folder = FOLDER / f"demo-{DAILY}"
    if not folder.is_dir():
        draft = FOLDER / "demo-draft"
        write_demo(draft, n_users=DAILY)
        draft.rename(folder)
    ran: list[Any] = []
    study = _timed(lambda: ran.append(ch.Study.from_toml(folder / "study.toml").run()))
    with tempfile.TemporaryDirectory() as place:
        found = _timed(lambda: ran[0].report(Path(place, "report"), formats=("html", "pdf")))
        size = Path(place, "report", "report.html").stat().st_size / 1e6
    return found | {"said": f"page {size:.2f} MB; the study before it {study['seconds']:,.0f} s"}


TASKS: dict[str, tuple[Callable[[], Timed], str]] = {
    "idle_risk": (idle_risk, "at most 1.5 times the spells"),
    "rules": (rules, "under 2 s"),
    "rules_for_a_precision": (rules_for_a_precision, "under 2 s"),
    "cut": (cut, "under 1 s"),
    "targeting": (targeting, "under 2 s"),
    "daily": (daily, "within a minute and 4 GB"),
    "report": (report, "under 20 s, page under 5 MB"),
    "campaign": (campaign, "within a minute and 6 GB"),
}


def goals(rows: int | None = None) -> Iterator[str]:
    """Lines of a Markdown table; the sizes are those of the goals, whatever `rows`."""
    del rows
    yield "\n**What has a goal and no peer**\n"
    yield "| task | goal | seconds | CPU seconds | peak MB | load | |"
    yield "|---|---|---:|---:|---:|---:|---|"
    for name, (task, goal) in TASKS.items():
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.goals", name], stdout=subprocess.PIPE, text=True, check=True
        )
        got = json.loads(done.stdout)
        title = (task.__doc__ or "").splitlines()[0]
        numbers = f"{got['seconds']:.2f} | {got['cpu']:.2f} | {got['peak_mb']:,.0f} | {got['load']:.1f}"
        yield f"| {title} | {goal} | {numbers} | {got.get('said', '')} |"


if __name__ == "__main__":
    chosen = TASKS[sys.argv[1]][0]
    print(json.dumps(chosen() | {"peak_mb": peak_mb(), "load": os.getloadavg()[0]}))
