"""Contact plans on random policies and days: those of a plain walk by the rules, and every promise is kept."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churnsurv.action.plan import plan_actions
from churnsurv.action.plan_words import ACTIONS, REASONS
from tests.action.plan_walk import Walk, lot
from tests.action.small import DAY, TIERS, MemoryLedger, days, some_alerts, some_policy

POLICIES = st.fixed_dictionaries(
    {
        "holdout": st.sampled_from([0.0, 0.3]),
        "contacts": st.sampled_from(
            [
                {"high": ["sms"], "medium": ["in_app", "push", {"channel": "sms", "after": 3}], "low": ["push"]},
                {
                    "high": ["sms", {"then": "low", "after": 2}],
                    "medium": ["push", {"then": "high"}],
                    "low": ["in_app", "sms"],
                },
                {"high": ["push", "sms"], "low": ["in_app", {"then": "high", "after": 2}]},
            ]
        ),
        "channels": st.fixed_dictionaries(
            {
                "sms": st.sampled_from([{"cost": 0.1, "per_day": 3}, {"cost": 0.1, "budget": 0.7}, {"cost": 0.1}]),
                "push": st.sampled_from([{}, {"per_day": 4}]),
                "in_app": st.sampled_from([{}, {"per_day": 2}]),
            }
        ),
        "caps": st.lists(
            st.sampled_from([{"most": 2, "days": 4}, {"most": 1, "days": 2}, {"most": 1, "days": 5, "channel": "sms"}]),
            max_size=2,
        ),
        "quiet": st.sampled_from([None, {"weekdays": ["friday"]}]),
        "arms": st.sampled_from([None, {"a": {"share": 0.5}, "b": {"share": 0.5, "contacts": {"high": ["push"]}}}]),
    }
)


def a_day(rng: np.random.Generator, state: np.ndarray, idle: np.ndarray) -> dict:
    """Alerts of users whose tiers and silences go on at random; both arrays are changed."""
    idle += 1
    active = rng.random(idle.size) < 0.12
    idle[active] = 0
    before = state.copy()
    moves = rng.random(idle.size) < 0.35
    state[moves] = rng.integers(-1, 3, int(moves.sum()))
    state[(idle == 0) | (idle >= 12)] = -1
    idle[idle > 12] = 1
    there = np.flatnonzero((state >= 0) | (before >= 0))
    return {
        int(user): (TIERS[state[user]] if state[user] >= 0 else None, int(idle[user]), float(user * 7 % 4) / 10)
        for user in there
    }


SEEDS = st.integers(0, 2**32 - 1)


@settings(max_examples=4)
@given(POLICIES, SEEDS)
def test_plans_are_those_of_a_plain_walk_and_keep_every_promise(keys, seed) -> None:
    walk(keys, seed)


@pytest.mark.slow
@settings(max_examples=60)
@given(POLICIES, SEEDS)
def test_many_plans_are_those_of_a_plain_walk(keys, seed) -> None:
    walk(keys, seed)


def walk(keys, seed) -> None:
    policy, ledger, rng = some_policy(**keys), MemoryLedger(), np.random.default_rng(seed)
    users = 14
    state, idle = np.full(users, -1), rng.integers(0, 6, users)
    pairs = [(user, channel) for user in range(users) for channel in ("sms", "push", "in_app", None)]
    out = {pairs[i] for i in rng.choice(len(pairs), 6, replace=False)}
    opt_outs = pd.DataFrame([*out], columns=["user_id", "channel"]).astype({"user_id": int})
    answers = {int(rng.integers(users)): [DAY + timedelta(days=int(rng.integers(10)))] for _ in range(3)}
    responses = pd.DataFrame(
        [(user, day) for user, each in answers.items() for day in each], columns=["user_id", "responded_on"]
    )
    for day in days(10):
        alerts = some_alerts(a_day(rng, state, idle), day)
        alerts = replace(alerts, churn_rule=type(alerts.churn_rule)(12))
        view = ledger.before(day)
        made = plan_actions(alerts, policy, ledger=ledger, opt_outs=opt_outs, responses=responses)
        walked = Walk(policy, TIERS, 12, day).plan(
            made.table[["user_id"]].merge(alerts.table, how="left").astype({"tier": object}),
            view.enrolled, view.contacts, out, answers,
        )  # fmt: skip
        columns = ["action", "reason", "arm", "channel", "track", "place", "step"]
        plain = made.table[columns].astype(object).where(made.table[columns].notna(), None)
        found = dict(zip(made.table["user_id"].tolist(), map(tuple, plain.to_numpy().tolist()), strict=True))
        assert found == walked
        ledger.record(made)
        _check_day(made, alerts, policy, out)
    _check_run(ledger, policy)


def _check_day(made, alerts, policy, out) -> None:
    table = made.table
    assert sorted(table["user_id"]) == sorted(alerts.table["user_id"])
    assert table["reason"].isin(list(REASONS)).all()
    assert table["words"].notna().all()
    assert sum(made.counts[action] for action in ACTIONS) == made.counts["alerts"] == len(table)
    sent = made.contacts
    assert not (set(zip(sent["user_id"], sent["channel"], strict=True)) & out)
    assert not (set(sent["user_id"]) & {user for user, channel in out if channel is None})
    assert not (sent["arm"] == policy.control).any()
    for name, channel in policy.channels.items():
        if channel.per_day is not None:
            assert (sent["channel"] == name).sum() <= channel.per_day
    if policy.quiet is not None and policy.quiet.is_quiet(made.contact_on):
        assert not len(sent)
        assert not len(made.enrolled)


def _check_run(ledger, policy) -> None:
    sent, enrolled = ledger.contacts, ledger.enrolled
    assert not sent.duplicated(["user_id", "contact_on"]).any()
    assert not enrolled["user_id"].duplicated().any()
    arms = dict(zip(enrolled["user_id"], enrolled["arm"], strict=True))
    assert all(arms[user] == arm for user, arm in zip(sent["user_id"], sent["arm"], strict=True))
    assert all(lot(policy, user) == arm for user, arm in arms.items())
    for name, channel in policy.channels.items():
        if channel.budget is not None:
            assert sent.loc[sent["channel"] == name, "cost"].sum() <= channel.budget + 1e-9
    on = sent["contact_on"].to_numpy().astype("datetime64[D]")
    for cap in policy.caps:
        mine = np.ones(len(sent), dtype=bool) if cap.channel is None else (sent["channel"] == cap.channel).to_numpy()
        for user in set(sent["user_id"]):
            theirs = np.sort(on[mine & (sent["user_id"] == user).to_numpy()])
            for last in theirs:
                assert ((theirs <= last) & (theirs > last - np.timedelta64(cap.days, "D"))).sum() <= cap.most
    for user, steps in sent.groupby("user_id")["step"]:
        assert sorted(steps) == list(range(1, len(steps) + 1)), user
