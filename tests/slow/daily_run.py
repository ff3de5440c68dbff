"""Ninety days of an app run day by day: alerts, plan, ledger, answers; then the lift of that ledger.

``python -m tests.slow.daily_run`` prints the table of docs/accuracy.md.

What each contacted user would have done without a contact is known, so that what the contacts brought to those who were
contacted is known, too: the truth that `campaign_lift` is held against. Everything else is counted: who was in an alert
and got no word, caps and capacities that were broken, hold-outs that were contacted.
"""

from __future__ import annotations

import datetime
import hashlib
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binomtest

import churnsurv as ch
from tests.action.live_app import Day, LiveApp, policy, run

__all__ = ["HORIZON", "Run", "daily_run", "main", "table"]

HORIZON = 30
FIRST = datetime.date(2025, 3, 1)
_CAPS = ((None, 3, 14), ("sms", 2, 30))
_PER_DAY = {"in_app": 30, "sms": 12}
_BUDGET = {"sms": 60.0}


@dataclass(frozen=True)
class Run:
    """What a run came to.

    Attributes
    ----------
    alerts, contacts, enrolled, held_out : int
        Rows of alerts on all days, contacts, users of the campaign, and those of them who are held out.
    broken : Mapping of str to int
        What must not be, by name.
    reasons : Mapping of (action, reason) to int
    holdout_p : float
        Of a share of hold-outs as far from that of the policy, or further.
    balance_p : float
        Of arms that differ as much before the first contact, joint over all covariates.
    truth, counted : float
        Returns within the horizon, per 1,000 users: that contacts brought; of the contacted less of the held out.
    estimate, lower, upper, std_error : float
        As `campaign_lift` finds them.
    """

    alerts: int
    contacts: int
    enrolled: int
    held_out: int
    broken: Mapping[str, int]
    reasons: Mapping[tuple[str, str], int]
    holdout_p: float
    balance_p: float
    truth: float
    counted: float
    estimate: float
    lower: float
    upper: float
    std_error: float


def daily_run(n_users: int, seed: int, *, days: int = 90) -> Run:
    """Run an app of its own seed; the key of the lots is the seed's, too."""
    live = LiveApp(n_users, seed)
    scheme = ch.fit_tiers(
        live.log(),
        variables=["balance"],
        missing={"balance": 0},
        objective={"high": ch.Precision(target=0.7), "medium": ch.Precision(target=0.4)},
        until=FIRST - datetime.timedelta(days=1),
        bootstrap=0,
    )
    chosen = policy(key=hashlib.sha256(f"lots {seed}".encode()).hexdigest())
    opt_outs = pd.DataFrame({"user_id": np.arange(1, n_users + 1, 25), "channel": "sms"})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "contacts.duckdb")
        gone = list(run(live, scheme, chosen, path, first=FIRST, days=days, opt_outs=opt_outs))
        ledger = ch.Ledger(path)
        sent, enrolled, assigned = ledger.contacts, ledger.enrolled, ledger.assignments()
        lift = ch.campaign_lift(assigned, live.log(), horizon=HORIZON, outcomes=["return_probability"])
    held = enrolled["arm"] == chosen.control
    returned, naturally = _returned(live, assigned)
    returned, naturally = returned.astype(np.float64), naturally.astype(np.float64)
    control = (assigned["arm"] == chosen.control).to_numpy()
    found = lift.table[~lift.table["adjusted"].astype(bool)].set_index("outcome").loc["return_probability"]
    balance = lift.checks.set_index("check")
    return Run(
        alerts=sum(len(day.alerts) for day in gone),
        contacts=len(sent),
        enrolled=len(enrolled),
        held_out=int(held.sum()),
        broken=_broken(gone, sent, enrolled, chosen, opt_outs),
        reasons=Counter(pair for day in gone for pair in _said(day)),
        holdout_p=float(binomtest(int(held.sum()), len(enrolled), chosen.holdout).pvalue),
        balance_p=float(balance.loc["balance", "p_value"]),
        truth=1000 * float((returned - naturally)[~control].mean()),
        counted=1000 * float(returned[~control].mean() - returned[control].mean()),
        estimate=float(found["estimate"]),
        lower=float(found["lower"]),
        upper=float(found["upper"]),
        std_error=float(found["std_error"]),
    )


def _said(day: Day) -> Iterator[tuple[str, str]]:
    yield from zip(day.plan.table["action"], day.plan.table["reason"], strict=True)


def _returned(live: LiveApp, assigned: pd.DataFrame) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether each user was active within the horizon, and whether without any contact."""
    users, days = assigned["user_id"].to_numpy(), assigned["assigned_at"]
    naturally = live.returned_naturally(users, days, HORIZON)
    answered: dict[int, list[np.datetime64]] = {}
    for user, day in live.answers:
        answered.setdefault(user, []).append(day)
    since = pd.to_datetime(days).to_numpy().astype("datetime64[D]")
    brought = [
        any(start <= day < start + HORIZON for day in answered.get(user, ()))
        for user, start in zip(users, since, strict=True)
    ]
    return naturally | np.array(brought), naturally


def _broken(
    days: Iterable[Day], sent: pd.DataFrame, enrolled: pd.DataFrame, chosen: ch.Policy, opt_outs: pd.DataFrame
) -> dict[str, int]:
    """Counts that must all be 0."""
    lost = unsaid = unresolved = 0
    for day in days:
        lost += int(sorted(day.alerts["user_id"]) != sorted(day.plan.table["user_id"]))
        unsaid += int(day.plan.table["reason"].isna().sum() + (day.plan.table["words"].fillna("") == "").sum())
        closed = day.plan.table["action"] == "close"
        unresolved += int(day.alerts["tier"].isna().sum() > closed.sum())
    out = pd.to_datetime(sent["contact_on"])
    held = set(enrolled.loc[enrolled["arm"] == chosen.control, "user_id"])
    found = {
        "days on which an alert is in no row of the plan": lost,
        "rows without a reason": unsaid,
        "days with a resolved alert that is not closed": unresolved,
        "held-out users contacted": int(sent["user_id"].isin(held).sum()),
        "contacts of a channel that was opted out of": int(
            ((sent["channel"] == "sms") & sent["user_id"].isin(opt_outs["user_id"])).sum()
        ),
        "contacts on a quiet day": int((out.dt.dayofweek == 6).sum()),
        "contacts of one user and day": int(sent.duplicated(["user_id", "contact_on"]).sum()),
        "steps sent twice": int(sent.duplicated(["user_id", "campaign", "step"]).sum()),
        "users enrolled twice": int(enrolled.duplicated(["user_id", "campaign"]).sum()),
    }
    for channel, most, length in _CAPS:
        some = sent if channel is None else sent[sent["channel"] == channel]
        found[f"more than {most} in {length} days, {channel or 'any channel'}"] = _above(some, most, length)
    for channel, most in _PER_DAY.items():
        counts = sent[sent["channel"] == channel].groupby("contact_on").size()
        found[f"days with more than {most} of {channel}"] = int((counts > most).sum())
    for channel, most in _BUDGET.items():
        found[f"budget of {channel} overspent"] = int(sent.loc[sent["channel"] == channel, "cost"].sum() > most + 1e-9)
    return found


def _above(sent: pd.DataFrame, most: int, length: int) -> int:
    """Contacts that are more than so many within so many days."""
    ordered = sent.sort_values(["user_id", "contact_on"])
    earlier = ordered.groupby("user_id")["contact_on"].shift(most)
    gap = (pd.to_datetime(ordered["contact_on"]) - pd.to_datetime(earlier)).dt.days
    return int((gap < length).sum())


def table(runs: Iterable[Run]) -> pd.DataFrame:
    """One row a run."""
    rows: list[dict[str, Any]] = [
        {
            "alerts": each.alerts,
            "contacts": each.contacts,
            "enrolled": each.enrolled,
            "held out": each.held_out / each.enrolled,
            "p": each.holdout_p,
            "balance p": each.balance_p,
            "broken": sum(each.broken.values()),
            "brought": each.truth,
            "lift": each.estimate,
            "lower": each.lower,
            "upper": each.upper,
        }
        for each in runs
    ]
    return pd.DataFrame(rows)


def main() -> None:
    """Print the runs of ten apps of 3,000 users."""
    found = [daily_run(3_000, seed) for seed in range(1, 11)]
    print(table(found).round(3).to_string())  # noqa: T201
    off = np.array([(each.estimate - each.truth) / each.std_error for each in found])
    print("mean z", off.mean() * np.sqrt(len(off)), "largest", np.abs(off).max())  # noqa: T201
    total: Counter[tuple[str, str]] = Counter()
    for each in found:
        total.update(each.reasons)
    print("\n".join(f"{action:10} {reason:24} {n:8,}" for (action, reason), n in total.most_common()))  # noqa: T201


if __name__ == "__main__":
    main()
