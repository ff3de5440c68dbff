"""Contact plans, each rule by hand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from churnsurv.action.ledger import Ledger
from churnsurv.action.plan import plan_actions
from churnsurv.action.plan_steps import enrol
from churnsurv.action.plan_words import ACTIONS, REASONS
from churnsurv.errors import InputError, SchemaError
from churnsurv.tables import schema
from tests.action.plan_walk import lot
from tests.action.small import (
    CONTACTS,
    DAY,
    ENROLLED,
    KEY,
    NOBODY,
    TIERS,
    MemoryLedger,
    SmallAlerts,
    by_user,
    days,
    some_alerts,
    some_policy,
)  # fmt: skip


def plan(rows, policy=None, ledger=None, day=DAY, opt_outs=NOBODY, responses=None, **more):
    return plan_actions(
        some_alerts(rows, day, **more),
        policy or some_policy(),
        ledger=ledger if ledger is not None else MemoryLedger(),
        opt_outs=opt_outs,
        responses=responses,
    )


def run(rows_of, n, policy, ledger=None, **settings):
    """Plans of n days, recorded one after the other; `rows_of(i)` are the alerts of day i."""
    ledger = ledger or MemoryLedger()
    made = []
    for i, day in enumerate(days(n)):
        made.append(plan(rows_of(i), policy, ledger, day, **settings))
        ledger.record(made[-1])
    return made


# ------------------------------------------------------------------------------------------------ sequences and tiers


def test_a_high_tier_gets_its_contact_at_once_and_then_nothing_more() -> None:
    first, second = run(lambda i: {1: ("high", 16 + i)}, 2, some_policy())
    row = first.table.iloc[0]
    assert row[["action", "reason", "channel", "step", "place", "track", "arm"]].tolist() == [
        "contact", "first", "sms", 1, 1, "high", "contact",
    ]  # fmt: skip
    assert (row["date"], row["contact_on"]) == (pd.Timestamp("2025-04-01"), pd.Timestamp("2025-04-02"))
    assert (row["cost"], row["send_from"], row["send_until"]) == (0.05, "2025-04-02 00:00", "2025-04-03 00:00")
    assert row["words"] == "first contact, high tier: sms"
    assert by_user(second, "reason") == {1: "done"}
    assert by_user(second, "action") == {1: "close"}
    assert by_user(second, "words")[1].startswith("no step is left after sms of 2025-04-02")


def test_the_case_medium_goes_in_app_then_push_then_sms_after_three_days_without_response() -> None:
    made = run(lambda i: {1: ("medium", 5 + i)}, 7, some_policy())
    assert [by_user(each, "channel")[1] for each in made] == ["in_app", "push", "sms", "sms", "sms", None, None]
    assert [by_user(each, "reason")[1] for each in made] == [
        "first", "next", "not_due", "not_due", "next", "done", "done",
    ]  # fmt: skip
    assert [by_user(each, "escalated")[1] for each in made] == [False, True, False, False, True, False, False]
    sent = pd.concat([each.contacts for each in made])
    assert sent["contact_on"].dt.day.tolist() == [2, 3, 6]
    assert sent["step"].tolist() == sent["place"].tolist() == [1, 2, 3]
    waiting = made[2].table.iloc[0]
    assert waiting["due"] == pd.Timestamp("2025-04-06")
    assert waiting["words"] == "push went out on 2025-04-03; sms follows on 2025-04-06 if there is no response"
    assert made[4].table["words"].iloc[0] == "no response to push of 2025-04-03 within 3 days: now sms"


def test_a_tier_that_rises_is_contacted_at_once_and_one_that_falls_stays_on_the_higher_track() -> None:
    policy = some_policy(
        contacts={"high": ["sms", {"channel": "push", "after": 2}], "medium": ["in_app", "push", "push"]}
    )
    tier = ["medium", "high", "medium", "medium", "medium"]
    made = run(lambda i: {1: (tier[i], 5 + i)}, 5, policy)
    assert [by_user(each, "reason")[1] for each in made] == ["first", "rose", "not_due", "next", "done"]
    assert [by_user(each, "channel")[1] for each in made] == ["in_app", "sms", "push", "push", None]
    assert [by_user(each, "track")[1] for each in made[:4]] == ["medium", "high", "high", "high"]
    assert (
        by_user(made[1], "words")[1] == "rose from the medium to the high tier after in_app of 2025-04-02: sms at once"
    )
    assert made[3].contacts[["tier", "track", "place", "step"]].to_numpy().tolist() == [["medium", "high", 2, 3]]


def test_a_rise_to_a_tier_whose_steps_were_reached_by_then_changes_nothing() -> None:
    policy = some_policy(
        contacts={
            "high": ["sms", {"channel": "in_app", "after": 5}],
            "medium": ["push"],
            "low": ["push", {"then": "high"}],
        }
    )
    tier = ["low", "low", "medium", "high", "high"]
    made = run(lambda i: {1: (tier[i], 5 + i)}, 5, policy)
    assert [by_user(each, "reason")[1] for each in made] == ["first", "next", "not_due", "not_due", "not_due"]
    assert [by_user(each, "track")[1] for each in made] == ["low"] * 5
    assert made[4].table["due"].iloc[0] == pd.Timestamp("2025-04-08")


@pytest.mark.parametrize("low", [["push"], []])
def test_a_rise_is_not_lost_where_the_sequence_was_cut_under_way(low) -> None:
    ledger, high = MemoryLedger(), ["sms"]
    run(
        lambda i: {1: ("low", 5 + i)},
        2,
        some_policy(contacts={"high": high, "low": ["push", "in_app", "push"]}),
        ledger,
    )
    cut = some_policy(contacts={"high": high, **({"low": low} if low else {})})
    made = plan({1: ("high", 7)}, cut, ledger, DAY + timedelta(days=2))
    assert by_user(made, "reason") == {1: "rose"}
    assert by_user(made, "channel") == {1: "sms"}
    assert by_user(plan({1: ("low", 7)}, cut, ledger, DAY + timedelta(days=2)), "reason") == {1: "done"}


def test_a_rise_to_a_tier_that_cannot_reach_the_user_keeps_the_sequence() -> None:
    out = pd.DataFrame({"user_id": [1], "channel": ["sms"]})
    tier = ["medium", "high", "high"]
    made = run(lambda i: {1: (tier[i], 5 + i)}, 3, some_policy(), opt_outs=out)
    assert [by_user(each, "channel")[1] for each in made] == ["in_app", "push", None]
    assert [by_user(each, "reason")[1] for each in made] == ["first", "next", "done"]


def test_a_later_silence_begins_the_sequence_again_in_the_same_arm() -> None:
    def rows(i):
        return {1: ("medium", 5 + i)} if i < 2 else {1: (None, 0)} if i == 2 else {1: ("medium", i - 2)}

    made = run(rows, 5, some_policy())
    assert [by_user(each, "reason")[1] for each in made] == ["first", "next", "returned", "again", "next"]
    assert [by_user(each, "action")[1] for each in made][2] == "close"
    sent = pd.concat([each.contacts for each in made])
    assert sent["step"].tolist() == [1, 2, 3, 4]
    assert sent["place"].tolist() == [1, 2, 1, 2]
    assert [len(each.enrolled) for each in made] == [1, 0, 0, 0, 0]
    assert by_user(made[3], "assigned_on")[1] == pd.Timestamp(DAY)


def test_a_step_after_formal_churn_is_not_waited_for() -> None:
    policy = some_policy(contacts={"high": ["push", {"channel": "sms", "after": 9}]})
    made = run(lambda i: {1: ("high", 20 + i), 2: ("high", 21 + i)}, 2, policy)
    assert by_user(made[1], "reason") == {1: "not_due", 2: "no_time"}
    assert by_user(made[1], "words")[2] == "sms would follow on 2025-04-11, after formal churn on 2025-04-10"
    assert by_user(made[1], "action") == {1: "wait", 2: "close"}


def test_resolved_rows_are_closed_each_for_its_reason() -> None:
    made = plan({1: (None, 0), 2: (None, 30), 3: (None, 7)})
    assert by_user(made, "reason") == {1: "returned", 2: "churned", 3: "left_tier"}
    assert set(made.table["action"]) == {"close"}
    assert by_user(made, "words")[2] == "30 days without activity: churned, the alert is over"


def test_an_answer_ends_the_sequence_of_this_silence_only_and_only_once_it_is_known() -> None:
    answers = pd.DataFrame(
        {"user_id": [1, 2, 3, 4], "responded_on": ["2025-04-02", "2025-03-20", "2025-03-28", "2025-04-09"]}
    )
    rows = dict.fromkeys((1, 2, 3, 4, 5), ("medium", 5))
    made = plan(rows, responses=answers)
    assert by_user(made, "reason") == {1: "first", 2: "first", 3: "answered", 4: "first", 5: "first"}
    assert any("2 responses after 2025-04-01" in note for note in made.notes)
    ledger = MemoryLedger()
    ledger.record(made)
    later = plan(dict.fromkeys(rows, ("medium", 6)), ledger=ledger, day=DAY + timedelta(days=1), responses=answers)
    assert by_user(later, "reason") == {1: "answered", 2: "next", 3: "answered", 4: "next", 5: "next"}
    assert by_user(later, "words")[1] == "answered on 2025-04-02: nothing more is sent in this silence"


def test_days_of_answers_are_read_in_one_way_or_not_at_all() -> None:
    for good in (
        [DAY], [pd.Timestamp("2025-04-01 09:00")], ["2025-04-01"], ["2025-04-01T09:00"], ["2025-04-01 09:00:00"],
        np.array(["2025-04-01"], dtype="datetime64[D]"), pd.Series(["2025-04-01"], dtype="string"),
    ):  # fmt: skip
        answers = pd.DataFrame({"user_id": [1], "responded_on": good})
        assert by_user(plan({1: ("medium", 5)}, responses=answers), "reason") == {1: "answered"}
    for bad in ([20250331], [20250331.0], ["01/04/2025"], ["20250401"], [True], pd.Series([DAY, 3], dtype=object)):
        answers = pd.DataFrame({"user_id": [1] * len(bad), "responded_on": bad})
        with pytest.raises(SchemaError, match="numbers have no unit"):
            plan({1: ("medium", 5)}, responses=answers)


# --------------------------------------------------------------------------------------- who is left out, and who waits


def test_opt_outs_skip_steps_and_leave_out_who_cannot_be_reached() -> None:
    out = pd.DataFrame({"user_id": [1, 2, 3, 3, 3], "channel": [None, "in_app", " SMS", "push", "In_App"]})
    made = plan({1: ("medium", 5), 2: ("medium", 5), 3: ("medium", 5), 4: ("medium", 5)}, opt_outs=out)
    assert by_user(made, "reason") == {1: "opted_out", 2: "first", 3: "opted_out", 4: "first"}
    assert by_user(made, "channel") == {1: None, 2: "push", 3: None, 4: "in_app"}
    assert made.contacts["place"].tolist() == [2, 1]
    assert len(made.enrolled) == 2


def test_opt_outs_are_required_and_misspelt_ones_are_refused() -> None:
    with pytest.raises(InputError, match="opt_outs is missing: without it nobody may be contacted"):
        plan({1: ("high", 16)}, opt_outs=None)
    with pytest.raises(InputError, match=r"no channel 'smss'. Did you mean 'sms'\?"):
        plan({1: ("high", 16)}, opt_outs=pd.DataFrame({"user_id": [1], "channel": ["smss"]}))
    made = plan({1: ("high", 16)}, opt_outs=pd.DataFrame({"user_id": [1, 2], "channel": ["letter", "letter"]}))
    assert made.counts["contact"] == 1
    assert made.notes[0] == "2 opt-outs of 'letter', a channel that the policy does not use."
    with pytest.raises(SchemaError, match="user_id is missing in 1 such row"):
        plan({1: ("high", 16)}, opt_outs=pd.DataFrame({"user_id": [1, None]}))


def test_opt_outs_find_their_users_whatever_the_type_of_the_ids(tmp_path) -> None:
    path = tmp_path / "opt_outs.csv"
    path.write_text("user_id,channel\n7,\n0012,sms\n")
    made = plan({"7": ("high", 16), "0012": ("high", 16), "12": ("high", 16)}, opt_outs=path)
    assert by_user(made, "action") == {"7": "leave out", "0012": "leave out", "12": "contact"}
    for ids in (["7"], [7], [7.0], pd.Series([7], dtype="Int64"), pd.Series(["7"], dtype="category")):
        made = plan({7: ("high", 16), 8: ("high", 16)}, opt_outs=pd.DataFrame({"user_id": ids}))
        assert by_user(made, "action") == {7: "leave out", 8: "contact"}
    big = 2**63 - 1
    path.write_text(f"user_id\n{big}\n{big + 1}\n{-big - 2}\n")
    made = plan({big: ("high", 16), -(2**63): ("high", 16)}, opt_outs=path)
    assert by_user(made, "action") == {-(2**63): "contact", big: "leave out"}
    beyond = pd.DataFrame({"user_id": pd.Series([2**64 - 5, big], dtype="uint64")})
    assert by_user(plan({-5: ("high", 16), big: ("high", 16)}, opt_outs=beyond), "action")[-5] == "contact"
    with pytest.raises(SchemaError, match="zeros in front are lost"):
        plan({"0012": ("high", 16)}, opt_outs=pd.DataFrame({"user_id": [12]}))
    for ids in (["07"], [7.5], ["user 7"]):
        with pytest.raises(SchemaError, match="whole number"):
            plan({7: ("high", 16)}, opt_outs=pd.DataFrame({"user_id": ids}))


def test_an_opt_out_of_any_channel_is_one_of_all() -> None:
    out = pd.DataFrame({"user_id": [1, 2, 3, 4], "channel": ["ALL", "any ", "*", None]})
    made = plan(dict.fromkeys((1, 2, 3, 4, 5), ("medium", 5)), opt_outs=out)
    assert by_user(made, "action") == {**dict.fromkeys((1, 2, 3, 4), "leave out"), 5: "contact"}
    assert "1 opt-out of the channel 'all', taken for every channel." in made.notes
    policy = some_policy(channels={"all": {}, "push": {}}, contacts={"high": ["push"]})
    assert plan({1: ("high", 5)}, policy, opt_outs=out).counts["contact"] == 1  # of the channel of that name


def test_capacity_goes_to_the_most_urgent_and_first_to_those_who_are_in_the_campaign() -> None:
    policy = some_policy(channels={"sms": {"per_day": 2}, "push": {}, "in_app": {}})
    ledger = MemoryLedger()
    ledger.record(plan({1: ("medium", 5)}, policy, ledger))
    ledger.record(plan({1: ("medium", 6)}, policy, ledger, DAY + timedelta(days=1)))
    rows = {2: ("high", 16, 0.9), 3: ("high", 16, 0.8), 4: ("high", 16, 0.7), 1: ("medium", 9, 0.5)}
    made = plan(rows, policy, ledger, DAY + timedelta(days=4))
    assert by_user(made, "action") == {2: "contact", 3: "leave out", 4: "leave out", 1: "contact"}
    assert by_user(made, "words")[3] == "sms takes 2 contacts a day, and more urgent users come first"
    assert by_user(made, "arm")[3] is None
    assert "2 users found no room; the most urgent of them is in the high tier." in made.notes


def test_a_budget_is_of_the_whole_campaign_and_counted_exactly() -> None:
    policy = some_policy(channels={"sms": {"cost": 0.1, "budget": 0.3}, "push": {}, "in_app": {}})
    ledger = MemoryLedger()
    ledger.record(plan({1: ("high", 16), 2: ("high", 16)}, policy, ledger))
    rows = {1: ("high", 17, 0.9), 2: ("high", 17, 0.9), 3: ("high", 16, 0.5), 4: ("high", 16, 0.4)}
    made = plan(rows, policy, ledger, DAY + timedelta(days=1))
    assert by_user(made, "reason") == {1: "done", 2: "done", 3: "first", 4: "no_budget"}
    assert by_user(made, "words")[4] == "the budget for sms, 0.30, is spent"


def test_caps_count_all_campaigns_of_the_last_days() -> None:
    other = some_policy(campaign="other", contacts={"high": ["push"]})
    policy = some_policy(caps=[{"most": 2, "days": 3}, {"most": 1, "days": 5, "channel": "sms"}])
    ledger = MemoryLedger()
    ledger.record(plan({1: ("high", 10), 2: ("high", 10)}, other, ledger))
    ledger.record(plan({1: ("medium", 10)}, policy, ledger))
    # user 1: push and in_app on 2 April; the third within three days would be push on the 3rd or 4th
    reasons = [
        by_user(plan({1: ("medium", 10 + i)}, policy, ledger, DAY + timedelta(days=i)), "reason")[1] for i in (1, 2, 3)
    ]
    assert reasons == ["capped", "capped", "next"]
    made = plan({1: ("medium", 11), 2: ("high", 11)}, policy, ledger, DAY + timedelta(days=1))
    assert by_user(made, "words")[1] == "2 contacts within 3 days: the limit for one user is reached"
    assert by_user(made, "reason")[2] == "first"
    ledger.record(made)
    sms = plan({2: ("high", 2)}, policy, ledger, DAY + timedelta(days=5))
    assert by_user(sms, "words")[2] == "1 contact by sms within 5 days: the limit for one user is reached"
    assert by_user(sms, "action")[2] == "wait"


def test_nobody_is_enrolled_or_contacted_on_a_quiet_day() -> None:
    policy = some_policy(quiet={"start": "20:00", "end": "08:30", "weekdays": ["thu"], "dates": ["2025-04-04"]})
    made = run(lambda i: {1: ("medium", 5 + i)} | ({2: ("high", 5 + i)} if i else {}), 4, policy)
    assert by_user(made[0], "send_from")[1] == "2025-04-02 08:30"
    assert by_user(made[0], "send_until")[1] == "2025-04-02 20:00"
    for quiet in made[1:3]:
        assert by_user(quiet, "action") == {1: "wait", 2: "wait"}
        assert by_user(quiet, "due") == {1: pd.Timestamp("2025-04-05"), 2: pd.Timestamp("2025-04-05")}
        assert not len(quiet.enrolled)
        assert not quiet.table["send_from"].notna().any()
    assert by_user(made[1], "words")[2] == "nothing goes out on 2025-04-03, a quiet day; next on 2025-04-05"
    assert by_user(made[3], "action") == {1: "contact", 2: "contact"}
    assert "nothing goes out on 2025-04-03, a quiet day" in made[1].to_text()


def test_nobody_new_waits_for_a_day_after_churn() -> None:
    policy = some_policy(quiet={"weekdays": ["wed", "thu"]})
    made = plan({1: ("high", 28), 2: ("high", 27)}, policy)  # churn on 3 and 4 April; next on Friday the 4th
    assert by_user(made, "reason") == {1: "no_time", 2: "quiet_day"}
    assert by_user(made, "action") == {1: "close", 2: "wait"}
    assert by_user(made, "words")[1] == "a contact would follow on 2025-04-04, after formal churn on 2025-04-03"


def test_a_tier_without_a_sequence_is_said() -> None:
    made = plan({1: ("high", 16), 2: ("low", 3)}, some_policy(contacts={"high": ["sms"]}))
    assert by_user(made, "words")[2] == "no contacts for tier low"
    assert by_user(made, "action")[2] == "leave out"
    assert "The policy has no contacts for low." in made.notes


# ------------------------------------------------------------------------------------------------------ lots and arms


def test_lots_are_those_of_the_hash_and_stand_whatever_happens() -> None:
    policy = some_policy(holdout=0.3, arms={"a": {"share": 0.5}, "b": {"share": 0.5, "contacts": {"high": ["push"]}}})
    rows = dict.fromkeys(range(200), ("high", 10))
    first = plan(rows, policy)
    assert by_user(first, "arm") == {user: lot(policy, user) for user in rows}
    assert set(first.contacts["channel"][first.contacts["arm"] == "b"]) == {"push"}
    assert not set(first.contacts["arm"]) & {"holdout"}
    ledger = MemoryLedger()
    ledger.record(first)
    tiers = {user: (TIERS[user % 3], 11) for user in rows}
    later = plan(tiers, policy, ledger, DAY + timedelta(days=1))
    assert by_user(later, "arm") == by_user(first, "arm")
    assert not len(later.enrolled)
    held = [user for user in rows if lot(policy, user) == "holdout"]
    assert {by_user(later, "action")[user] for user in held} == {"hold out"}
    share = first.enrolled.groupby("arm")["share"].first().to_dict()
    assert share == pytest.approx({"a": 0.35, "b": 0.35, "holdout": 0.3})


def test_one_left_out_today_has_the_same_lot_tomorrow() -> None:
    policy = some_policy(holdout=0.5, channels={"sms": {"per_day": 3}, "push": {}, "in_app": {}})
    ledger = MemoryLedger()
    rows = {user: ("high", 10, 1 - user / 100) for user in range(40)}
    first = plan(rows, policy, ledger)
    assert 0 < first.counts["leave out"] < 40
    ledger.record(first)
    second = plan({user: ("high", 11, row[2]) for user, row in rows.items()}, policy, ledger, DAY + timedelta(days=1))
    for each in (first, second):
        assert each.enrolled["arm"].tolist() == [lot(policy, user) for user in each.enrolled["user_id"]]
        assert len(each.contacts) == 3
    assert set(first.enrolled["user_id"]).isdisjoint(second.enrolled["user_id"])


def test_who_is_enrolled_never_hangs_on_the_own_lot() -> None:
    """Whoever's lot is turned over, the same user is enrolled, and all before are as they were."""
    rng = np.random.default_rng(1)
    needed = rng.integers(0, 3, (60, 2))
    arm = rng.integers(-1, 2, 60)
    taken = np.where(arm < 0, -1, needed[np.arange(60), np.maximum(arm, 0)])
    left = np.array([8, 12, 30])
    found = enrol(needed, taken, left.copy())
    assert 0 < (found >= 0).sum() < 60
    for user in range(60):
        for other in {-1, *needed[user].tolist()}:
            changed = taken.copy()
            changed[user] = other
            assert enrol(needed, changed, left.copy())[: user + 1].tolist() == found[: user + 1].tolist()


def one_by_one(needed, taken, left):
    """Enrolment as a walk over the rows."""
    found = []
    for channels, channel in zip(needed.tolist(), taken.tolist(), strict=True):
        full = [each for each in channels if left[each] == 0]
        found.append(full[0] if full else -1)
        if not full and channel >= 0:
            left[channel] -= 1
    return found, left.tolist()


def test_enrolment_in_one_go_is_that_of_a_walk_over_the_rows() -> None:
    rng = np.random.default_rng(2)
    for _ in range(200):
        n, n_arms, n_channels = rng.integers(0, 25), rng.integers(1, 4), rng.integers(1, 4)
        needed = rng.integers(0, n_channels, (n, n_arms))
        arm = rng.integers(-1, n_arms, n)
        taken = np.where(arm < 0, -1, needed[np.arange(n), np.maximum(arm, 0)])
        left = rng.integers(0, 8, n_channels)
        after = left.copy()
        assert (enrol(needed, taken, after).tolist(), after.tolist()) == one_by_one(needed, taken, left)


def test_hold_outs_take_no_room() -> None:
    policy = some_policy(holdout=0.6, channels={"sms": {"per_day": 10}, "push": {}, "in_app": {}})
    made = plan(dict.fromkeys(range(100), ("high", 10)), policy)
    assert made.counts["contact"] == 10
    assert made.counts["hold out"] > 5
    last = made.table["action"].tolist().index("leave out")
    assert set(made.table["action"][last:]) == {"leave out"}


def test_eligibility_asks_for_room_in_every_arm() -> None:
    arms = {"a": {"share": 0.5}, "b": {"share": 0.5, "contacts": {"high": ["push"]}}}
    policy = some_policy(arms=arms, channels={"sms": {}, "push": {"per_day": 4}, "in_app": {}})
    made = plan(dict.fromkeys(range(60), ("high", 10)), policy)
    assert made.contacts["channel"].value_counts()["push"] == 4
    left_out = made.table[made.table["action"] == "leave out"]
    assert set(left_out["reason"]) == {"no_capacity"}
    assert {lot(policy, user) for user in left_out["user_id"]} == {"a", "b"}
    out = pd.DataFrame({"user_id": range(60), "channel": "push"})
    assert plan(dict.fromkeys(range(60), ("high", 10)), policy, opt_outs=out).counts["leave out"] == 60


def test_a_cap_on_the_channel_of_any_arm_leaves_out() -> None:
    arms = {"a": {"share": 0.5}, "b": {"share": 0.5, "contacts": {"high": ["push"]}}}
    ledger = MemoryLedger()
    ledger.record(
        plan({1: ("high", 10), 2: ("medium", 10)}, some_policy(campaign="other", contacts={"high": ["push"]}), ledger)
    )
    for channel, reason in (("push", "capped"), ("sms", "first")):
        policy = some_policy(arms=arms, caps=[{"most": 1, "days": 9, "channel": channel}])
        made = plan({1: ("high", 11)}, policy, ledger, DAY + timedelta(days=1))
        assert by_user(made, "reason") == {1: reason}


def test_the_ledger_in_a_file_takes_and_gives_back_what_a_plan_needs(tmp_path) -> None:
    policy = some_policy(
        holdout=0.3, offers=[{"name": "envelope", "reward": {"within": 3}}], caps=[{"most": 2, "days": 9}]
    )
    for ids, n_days in (([f"user {user}" for user in range(30)], 1), (range(30), 2)):
        ledger, memory = Ledger(tmp_path / f"{n_days}.duckdb"), MemoryLedger()
        for i, day in enumerate(days(n_days)):
            rows = {user: (TIERS[(place + i) % 3], 5 + i) for place, user in enumerate(ids)}
            more = {"total_amount": np.full(30, 1_000.0), "balance": np.zeros(30)}
            made = plan(rows, policy, ledger, day, **more)
            same = plan(rows, policy, memory, day, **more)
            assert made.digest == same.digest
            assert not ledger.record(made).already
            memory.record(same)
        assert ledger.record(plan(rows, policy, ledger, day, **more)).already
        assert len(ledger.contacts) == len(memory.contacts) > 10
    past = plan(rows, policy, ledger, DAY, **more)
    assert past.dry_run
    with pytest.raises(InputError, match="dry run"):
        ledger.record(past)


def test_a_plan_as_csv_runs_nothing_in_a_spreadsheet(tmp_path) -> None:
    made = plan({"=1+1": ("high", 16), "user": ("low", 5)})
    text = made.to_csv(tmp_path / "plan.csv").read_text()
    assert text.splitlines()[0] == ",".join(schema("plan").names)
    assert "\n'=1+1,2025-04-01,2025-04-02,spring," in text


def test_a_ledger_with_other_arms_or_tiers_is_refused() -> None:
    ledger = MemoryLedger()
    ledger.record(plan({1: ("high", 10)}, some_policy(), ledger))
    arms = {"contacts": {"share": 1}}
    with pytest.raises(InputError, match=r"in the arm 'contact'.*Did you mean 'contacts'\?"):
        plan({1: ("high", 11)}, some_policy(arms=arms), ledger, DAY + timedelta(days=1))
    policy = some_policy(contacts={"low": ["push"]})
    with pytest.raises(InputError, match="contacts of campaign 'spring' for the tier 'high'"):
        plan({1: ("low", 11)}, policy, ledger, DAY + timedelta(days=1), tiers=("low",))


# ---------------------------------------------------------------------------------------------------- offers and costs

OFFERS = [
    {"name": "envelope", "when": ["total_amount >= 50_000"], "reward": {"budget": 2500}, "messages": ["envelope"]},
    {"name": "voucher", "when": ["n_investments <= 2"]},
    {"name": "news", "when": ["stage != 'mature'", "total_amount > 0"], "messages": ["good news", "boosted plan"]},
]


def test_the_first_offer_that_fits_is_taken_and_rewards_stay_within_their_budget() -> None:
    users = dict.fromkeys(range(1, 8), ("high", 16))
    made = plan(
        users,
        some_policy(offers=OFFERS),
        total_amount=[100_000, 100_000, 100_000, 50_000, 100_000, 100, np.nan],
        balance=[99, 99, 99, 0, 100, 0, 0],
        n_investments=[1, 9, 9, 9, 2, 3, 3],
        stage=["new", "new", "mature", "new", "new", None, "growth"],
    )
    # 1 and 2 spend 2,000 of 2,500; the third's 1,000 no longer fits, the fourth's 500 does; the fifth holds too much
    assert list(by_user(made, "offer").values()) == ["envelope", "envelope", None, "envelope", "voucher", None, None]
    rewards = made.contacts[["reward", "reward_condition"]].to_numpy()
    assert rewards[:4].tolist() == pytest.approx(
        np.array([[1e3, 1e4], [1e3, 1e4], [np.nan] * 2, [500, 5e3]]), nan_ok=True
    )
    assert made.contacts["promised_until"].tolist()[0] == pd.Timestamp("2025-05-01")  # 30 days, the contact's the first
    assert by_user(made, "message")[1] == "envelope"
    assert made.policy.features == ("total_amount", "n_investments", "stage", "balance")


def test_a_promise_is_made_once_and_repeated_without_a_new_one_while_it_is_open() -> None:
    policy = some_policy(offers=[{"name": "envelope", "reward": {"within": 2}, "messages": ["first", "reminder"]}])
    made = run(lambda i: {1: ("medium", 5 + i)}, 5, policy, total_amount=[1_000.0], balance=[0.0])
    sent = pd.concat([each.contacts for each in made])
    assert sent["message"].tolist() == ["first", "reminder", "reminder"]
    assert sent["offer"].tolist() == ["envelope"] * 3
    # contacts of 2, 3 and 6 April; the first promise is open up to and on the 3rd
    assert sent["reward"].tolist() == pytest.approx([10.0, np.nan, 10.0], nan_ok=True)
    other = some_policy(offers=[{"name": "other", "reward": {}}])
    ledger = MemoryLedger()
    ledger.record(plan({1: ("medium", 5)}, policy, ledger, total_amount=[1_000.0], balance=[0.0]))
    second = plan({1: ("medium", 6)}, other, ledger, DAY + timedelta(days=1), total_amount=[1_000.0], balance=[0.0])
    assert by_user(second, "offer") == {1: None}


def test_offers_need_their_columns() -> None:
    with pytest.raises(
        SchemaError, match=r"look at 'total_amount', 'n_investments', 'stage', 'balance'.*policy.features"
    ):
        plan({1: ("high", 16)}, some_policy(offers=OFFERS))
    with pytest.raises(SchemaError, match="an offer compares n_investments <= 2"):
        plan({1: ("high", 16)}, some_policy(offers=[OFFERS[1]]), n_investments=["few"])


def test_costs_and_break_even() -> None:
    policy = some_policy(
        channels={"sms": {"cost": 0.5}, "push": {}, "in_app": {}},
        offers=[{"name": "envelope", "when": ["total_amount >= 1_000"], "reward": {}}],
    )
    rows = {1: ("high", 16), 2: ("high", 16), 3: ("low", 5)}
    more = {"total_amount": [1_000.0, 0.0, 0.0], "balance": [0.0] * 3, "margin": [40.0, 60.0, np.nan]}
    made = plan(rows, policy, **more)
    costs = made.costs
    assert costs["channel"].tolist() == ["sms", "sms", "push", "(all)"]
    assert costs["offer"].tolist() == ["envelope", None, None, None]
    assert costs["n"].tolist() == [1, 1, 1, 3]
    assert costs["contact_cost"].tolist() == [0.5, 0.5, 0.0, 1.0]
    assert costs["promised"].tolist() == costs["release_upper"].tolist() == [10.0, 0.0, 0.0, 10.0]
    assert costs["value_per_return"].tolist() == pytest.approx([40.0, 60.0, np.nan, 50.0], nan_ok=True)
    # 11 spent on three contacts, 50 a return: 0.22 returns of 3, or 73.3 of 1,000; 6.67 if nothing is released
    assert costs["break_even"].iloc[-1] == pytest.approx(1_000 * 11 / 150)
    assert costs["break_even_lower"].iloc[-1] == pytest.approx(1_000 / 150)
    forecast = pd.DataFrame({"state": ["all", "churned"], "base_lower": [0.2, 0.9]})
    told = plan_actions(
        some_alerts(rows, **more), policy, ledger=MemoryLedger(), opt_outs=NOBODY, forecasts={"envelope": forecast}
    )
    assert told.costs["release_lower"].tolist() == [2.0, 0.0, 0.0, 2.0]
    assert told.digest == made.digest
    with pytest.raises(InputError, match=r"no offer 'envelop' has a reward. Did you mean 'envelope'\?"):
        plan_actions(
            some_alerts(rows, **more), policy, ledger=MemoryLedger(), opt_outs=NOBODY, forecasts={"envelop": forecast}
        )


# --------------------------------------------------------------------------------------------------- days and ledgers


def test_the_same_day_planned_again_is_the_same_plan_recorded_or_not_and_a_past_day_is_a_dry_run() -> None:
    policy, ledger = some_policy(holdout=0.3), MemoryLedger()
    rows = {user: (TIERS[user % 3], 5) for user in range(30)}
    tables = []
    for i, day in enumerate(days(4)):
        made = plan({user: (tier, 5 + i) for user, (tier, _) in rows.items()}, policy, ledger, day)
        ledger.record(made)
        again = plan({user: (tier, 5 + i) for user, (tier, _) in rows.items()}, policy, ledger, day)
        assert (again.digest, again.based_on, again.dry_run) == (made.digest, made.based_on, False)
        pd.testing.assert_frame_equal(again.table, made.table)
        ledger.record(again)
        tables.append(made)
    past = plan({user: (tier, 6) for user, (tier, _) in rows.items()}, policy, ledger, days(4)[1])
    assert past.dry_run
    assert past.digest == tables[1].digest
    pd.testing.assert_frame_equal(past.table, tables[1].table)
    assert "DRY RUN" in past.to_text()
    assert "dry run" in repr(past)
    other = plan({1: ("high", 5)}, some_policy(campaign="other"), ledger, days(4)[1])
    assert other.dry_run  # behind a day of another campaign, whose caps would not have seen its contacts


def test_the_order_of_rows_changes_nothing() -> None:
    policy = some_policy(holdout=0.3, channels={"sms": {"per_day": 4}, "push": {"per_day": 7}, "in_app": {}})
    rows = {f"user {user:02d}": (TIERS[user % 3], 5, (user * 7 % 5) / 10) for user in range(40)}
    out = pd.DataFrame({"user_id": ["user 03", "user 04", "user 05"], "channel": ["sms", None, "push"]})
    made = plan(rows, policy, opt_outs=out)
    rng = np.random.default_rng(3)
    for _ in range(3):
        alerts = some_alerts(rows)
        alerts = replace(alerts, table=alerts.table.sample(frac=1, random_state=rng))
        again = plan_actions(alerts, policy, ledger=MemoryLedger(), opt_outs=out.sample(frac=1, random_state=rng))
        assert again.digest == made.digest
        pd.testing.assert_frame_equal(again.table, made.table)


def test_urgency_comes_before_risk() -> None:
    policy = some_policy(channels={"sms": {"per_day": 2}, "push": {}, "in_app": {}})
    rows = {1: ("high", 9, 0.9), 2: ("high", 9, 0.1), 3: ("high", 9, 0.5), 4: ("high", 9, 0.8)}
    made = plan(rows, policy, urgency=[1.0, 50.0, np.nan, 1.0])
    assert made.table["user_id"].tolist() == [2, 1, 4, 3]
    assert made.contacts["user_id"].tolist() == [2, 1]


def test_an_attribute_called_score_orders_nothing() -> None:
    @dataclass(frozen=True)
    class Asked(SmallAlerts):
        features: tuple[str, ...] = ("score",)

    rows = {1: ("high", 9, 0.9), 2: ("high", 9, 0.9)}
    for score, order in (([0.1, 0.2], [1, 2]), (["good", "bad"], [1, 2])):
        given = some_alerts(rows, score=score)
        made = plan_actions(Asked(given.table, DAY), some_policy(), ledger=MemoryLedger(), opt_outs=NOBODY)
        assert made.table["user_id"].tolist() == order
    assert plan(rows, score=[0.1, 0.2]).table["user_id"].tolist() == [2, 1]  # the score of the tiers


def test_what_does_not_fit_together_is_refused() -> None:
    with pytest.raises(InputError, match=r"policy must be a ch\.Policy"):
        plan({1: ("high", 5)}, policy={"campaign": "a"})
    with pytest.raises(InputError, match=r"what ch.alerts\(...\) returned, not DataFrame"):
        plan_actions(pd.DataFrame(), some_policy(), ledger=MemoryLedger(), opt_outs=NOBODY)
    with pytest.raises(InputError, match=r"contacts for the tier 'hihg'.*Did you mean 'high'\?"):
        plan({1: ("high", 5)}, some_policy(contacts={"hihg": ["sms"]}))
    with pytest.raises(InputError, match="waits that cannot happen"):
        plan({1: ("high", 5)}, some_policy(contacts={"high": ["sms", {"channel": "push", "after": 28}]}))
    alerts = some_alerts({1: ("high", 5), 2: ("high", 5)})
    twice = replace(alerts, table=alerts.table.assign(user_id=[1, 1]))
    with pytest.raises(InputError, match="user 1 has several rows"):
        plan_actions(twice, some_policy(), ledger=MemoryLedger(), opt_outs=NOBODY)


def test_a_day_without_alerts_is_a_plan_without_rows() -> None:
    made = plan({})
    assert made.table.columns.tolist() == list(schema("plan").names)
    assert len(made.table) == len(made.contacts) == len(made.enrolled) == 0
    assert made.counts["alerts"] == 0
    assert made.costs["n"].tolist() == [0]
    assert "0 contacts" in made.to_text()
    assert made.table.dtypes["date"] == plan({1: ("high", 5)}).table.dtypes["date"] == "datetime64[s]"


def test_a_plan_tells_itself() -> None:
    policy = some_policy(holdout=0.2, offers=[{"name": "voucher", "messages": ["experience\tvoucher"]}], quiet={})
    made = plan({user: (TIERS[user % 3], 5) for user in range(40)}, policy, margin=[10.0] * 40)
    text = made.to_text(limit=5)
    assert text.startswith(
        "Contact plan of 2025-04-01, campaign 'spring': contacts go out on 2025-04-02, 09:00 to 21:00\n"
    )
    assert "... and " in text
    assert "experience?voucher" in text
    assert "returns per 1,000 contacted, more than without contact, at 10.00 a return." in text
    assert str(made) == made.to_text(30)
    assert made.to_json().count("first contact") == made.counts["contact"]
    assert KEY not in made.to_json() + repr(made) + text + made._repr_html_()
    assert made.costs.columns.tolist() == list(schema("plan_costs").names)
    assert made.contacts.columns.tolist() == list(CONTACTS)
    assert made.enrolled.columns.tolist() == list(ENROLLED)


def test_every_reason_has_a_sentence_and_every_action_its_meaning() -> None:
    assert set(ACTIONS) == {"contact", "wait", "hold out", "leave out", "close"}
    assert all(REASONS.values())
