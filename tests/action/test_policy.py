"""Policies: what they say, everything that is wrong with one at once, and that the key is never shown."""

from __future__ import annotations

import hashlib
import json
from datetime import date, time

import pytest

from churnsurv.action import Arm, Cap, Channel, Offer, Policy, Quiet, RewardRule, Step
from churnsurv.action.policy_reading import PolicyError
from churnsurv.action.policy_sequences import require_possible_waits, written_out
from churnsurv.errors import InputError
from tests.action.small import KEY, some_policy

FILE = f"""
campaign = "spring 2025"
key = "{KEY}"
holdout = 0.1

[channels.sms]
cost = 0.05
per_day = 1000
budget = 500
[channels.push]
[channels.in_app]

[contacts]
high = ["sms"]
medium = ["in_app", "push", {{ channel = "sms", after = 3 }}]
low = ["push", {{ then = "high", after = 5 }}]

[[offers]]
name = "red envelope"
when = ["total_amount >= 50_000"]
messages = ["envelope"]
reward = {{ share = 0.01, cap = 2000 }}
[[offers]]
name = "voucher"
when = ["n_investments <= 2"]
[[offers]]
name = "good news"
when = ["max_amount < 10_000", "ever_boosted == false", "stage != 'mature'"]
messages = ["good news", "boosted plan"]

[[caps]]
most = 3
days = 30
[[caps]]
most = 1
days = 7
channel = "sms"

[quiet]
start = 21:30:00
end = "08:00"
weekdays = ["Sun", "monday"]
dates = [2025-05-01]

[arms.plain]
share = 0.6
[arms.push_first]
share = 0.4
contacts = {{ high = ["push", "sms"] }}
"""


def test_channels_that_opt_outs_cannot_tell_apart_and_costs_below_a_millionth_are_refused() -> None:
    with pytest.raises(PolicyError, match=r"channels\.SMS: is 'sms' but for case and spaces"):
        some_policy(channels={"sms": {}, "SMS": {}, "push": {}, "in_app": {}})
    for cost in (0.0, 1e-6):
        assert Channel(cost=cost).cost == cost
    with pytest.raises(PolicyError, match="4e-07 is below a millionth"):
        Channel(cost=4e-7, budget=2e-6)


def test_a_file_says_everything(tmp_path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(FILE)
    policy = Policy.from_toml(path)
    assert policy.campaign == "spring 2025"
    assert policy.channels["sms"] == Channel(cost=0.05, per_day=1000, budget=500)
    assert policy.contacts["medium"] == (Step("in_app"), Step("push"), Step("sms", after=3))
    assert policy.contacts["low"][1] == Step(then="high", after=5)
    assert policy.offers[0].reward == RewardRule(share=0.01, cap=2000)
    assert [str(each) for each in policy.offers[2].when] == [
        "max_amount < 10000", "ever_boosted == 0", "stage != 'mature'",
    ]  # fmt: skip
    assert policy.caps == (Cap(3, 30), Cap(1, 7, "sms"))
    assert policy.quiet == Quiet("21:30", "08:00", ("monday", "sunday"), (date(2025, 5, 1),))
    assert policy.features == ("total_amount", "n_investments", "max_amount", "ever_boosted", "stage", "balance")
    assert list(policy.arms) == ["plain", "push_first"]
    assert policy.sequences("push_first")["high"] == (Step("push"), Step("sms"))
    assert policy.sequences("push_first")["low"] == policy.contacts["low"]
    path.write_text("[study]\ntitle = 'a'\n[policy]\n" + FILE.replace("[[", "[[policy.").replace("\n[", "\n[policy.")
                    .replace("[policy.[policy.", "[[policy."))  # fmt: skip
    assert Policy.from_toml(path) == policy


def test_a_policy_is_plain_data_and_back_without_its_key() -> None:
    policy = some_policy(
        holdout=0.2,
        arms={"b": {"share": 0.5}, "a": Arm(0.5, {"high": ["push"]})},
        offers=[Offer("envelope", ["stage == 'it is'", 'stage != "it\'s"', "x > 0.1234567890123"], reward={})],
        caps=[Cap(1, 2)],
        quiet={"dates": ["2025-01-01"]},
    )
    plain = json.loads(json.dumps(policy.to_plain()))
    assert Policy.from_plain(plain, key=KEY) == policy
    assert Policy.from_plain(plain, key=KEY).digest == policy.digest
    with pytest.raises(InputError, match="another key"):
        Policy.from_plain(plain, key=KEY[::-1])
    for text in (json.dumps(plain), repr(policy), str(policy), policy.digest, policy.draw):
        assert KEY not in text
    assert plain["key_sha256"] == hashlib.sha256(KEY.encode()).hexdigest()


def test_digests_tell_policies_and_draws_apart() -> None:
    policy = some_policy()
    assert policy.digest == some_policy().digest
    more_sms = some_policy(channels={"sms": {"cost": 0.06}, "push": {}, "in_app": {}})
    assert more_sms.digest != policy.digest
    assert more_sms.draw == policy.draw
    for changes in ({"campaign": "autumn"}, {"key": KEY[::-1]}, {"holdout": 0.1}, {"control": "none"}):
        assert some_policy(**changes).draw != policy.draw
    arms = {"a": {"share": 0.5}, "b": {"share": 0.5}}
    assert some_policy(arms=arms).draw == some_policy(arms=dict(reversed(arms.items()))).draw != policy.draw


def test_everything_wrong_is_told_at_once_with_its_place_and_the_nearest_name() -> None:
    with pytest.raises(PolicyError) as caught:
        Policy.from_toml(
            {
                "campain": "spring",
                "key": "short",
                "holdout": 10,
                "channels": {"sms": {"cots": 1, "per_day": -1}, "push": {}, "free": {"budget": 5}},
                "contacts": {"high": ["sms", {"channel": "push", "aftr": 2}], "low": [{"channel": "push", "after": 0}]},
                "caps": [{"most": 1}],
                "offers": [{"name": "a", "when": ["x ~ 3", "y < 'z'"], "reward": {"shar": 1}}],
                "quiet": {"start": "25:00", "weekdays": ["funday"]},
                "arms": {"a": {"share": 1.5}},
            }
        )
    found = {problem.where: problem.what for problem in caught.value.problems}
    assert "Did you mean 'campaign'?" in found.pop("campain")
    assert "is missing" in found.pop("campaign")
    assert "has 5. Make one with: python -c" in found.pop("key")
    assert "Is it in percent?" in found.pop("holdout")
    assert "Did you mean 'cost'?" in found.pop("channels.sms.cots")
    assert "at least 0" in found.pop("channels.sms.per_day")
    assert "limits nothing" in found.pop("channels.free.budget")
    assert "Did you mean 'after'?" in found.pop("contacts.high[2].aftr")
    assert "at least 1" in found.pop("contacts.low[1].after")
    assert "is missing" in found.pop("caps[1].days")
    assert '"n_investments <= 2"' in found.pop("offers[1].when[1]")
    assert "texts go with == and !=" in found.pop("offers[1].when[2]")
    assert "Did you mean 'share'?" in found.pop("offers[1].reward")
    assert "21:00" in found.pop("quiet.start")
    assert "Did you mean 'sunday'?" in found.pop("quiet.weekdays[1]")
    assert "at most 1" in found.pop("arms.a.share")
    assert not found
    assert str(caught.value).startswith("The policy has 16 problems:\n  campain: ")


@pytest.mark.parametrize(
    ("changes", "where", "what"),
    [
        ({"contacts": {"high": ["smss"]}}, "contacts.high[1]", "Did you mean 'sms'?"),
        ({"contacts": {"high": ["sms", {"then": "hgh"}]}}, "contacts.high[2]", "no tier 'hgh'"),
        ({"contacts": {"high": [{"then": "low"}], "low": []}}, "contacts.high[1]", "which has no contacts"),
        ({"contacts": {"a": ["sms", {"then": "b"}], "b": [{"then": "a"}]}}, "contacts.a", "circle: a -> b -> a"),
        ({"contacts": {"a": ["sms", {"then": "a"}]}}, "contacts.a", "circle: a -> a"),
        ({"contacts": {"a": [{"then": "b"}, "sms"], "b": ["sms"]}}, "contacts.a[1]", "the steps after it never come"),
        ({"contacts": {"a": [{"channel": "sms", "after": 3}]}}, "contacts.a[1]", "none before the first step"),
        ({"contacts": {"a": []}}, "contacts", "has no contact at all"),
        ({"contacts": {"a": "sms"}}, "contacts.a", "expected a sequence"),
        ({"contacts": {"a": [{"channel": "sms", "then": "a"}]}}, "contacts.a[1].then", "both a channel and"),
        ({"contacts": {"a": [{}]}}, "contacts.a[1].then", "neither"),
        ({"contacts": None}, "contacts", "found nothing"),
        ({"channels": {}}, "channels", "found an empty table"),
        ({"caps": [Cap(1, 2, "smss")]}, "caps[1].channel", "Did you mean 'sms'?"),
        ({"arms": {"a": {"share": 0.5}, "b": {"share": 0.4}}}, "arms", "add up to 0.9"),
        ({"arms": {"holdout": {"share": 1}}}, "control", "is an arm, too"),
        ({"arms": {"a": {"share": 0.5, "contacts": {"low": []}}, "b": {"share": 0.5}}}, "arms.a", "'low'"),
        ({"arms": {"a": {"share": 1, "contacts": {"low": ["fax"]}}}}, "arms.a.contacts.low[1]", "no channel 'fax'"),
        ({"offers": [Offer("a"), Offer("b")]}, "offers[2]", "can never be taken"),
        ({"offers": [Offer("a", ["x > 1"]), Offer("a")]}, "offers[2].name", "is there twice"),
        ({"key": None}, "key", "secrets.token_hex"),
        ({"key": "a" * 32}, "key", "can be guessed"),
        ({"key": "0123456789abcdef" * 5}, "key", "64 bytes at most"),
        ({"holdout": None}, "holdout", "is missing"),
        ({"holdout": 1.0}, "holdout", "below 1"),
        ({"campaign": "spring\n2"}, "campaign", "expected a name"),
        ({"quiet": {"start": "12:00", "end": "14:00"}}, "quiet.start", "two windows"),
        ({"quiet": {"weekdays": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]}}, "quiet.weekdays", "every day"),
    ],
)
def test_what_cannot_be_is_refused(changes, where, what) -> None:
    with pytest.raises(PolicyError) as caught:
        some_policy(**changes)
    assert [problem.where for problem in caught.value.problems] == [where]
    assert what in caught.value.problems[0].what


def test_errors_never_show_a_key() -> None:
    with pytest.raises(PolicyError) as caught:
        some_policy(key="hunter2-hunter2", holdout=2)
    assert "hunter2" not in str(caught.value)


def test_a_file_that_is_not_there_or_no_toml(tmp_path) -> None:
    (tmp_path / "policy.toml").write_text("campaign = spring")
    with pytest.raises(InputError, match=r"Did you mean 'policy.toml'\?"):
        Policy.from_toml(tmp_path / "polcy.toml")
    with pytest.raises(InputError, match=r"policy.toml is not TOML"):
        Policy.from_toml(tmp_path / "policy.toml")


def test_parts_check_themselves() -> None:
    with pytest.raises(InputError, match="Channel has 2 problems"):
        Channel(cost=-1, per_day=2.5)
    with pytest.raises(InputError, match="Arm has 1 problem"):
        Arm(0)
    assert Quiet(time(22), "24:00").end == "00:00"
    assert Quiet("00:00", "08:00").end == "08:00"
    assert Quiet("09:00", "09:00").start == "09:00"


def test_a_sequence_that_goes_on_with_another_tier_is_written_out() -> None:
    low = ["push", Step(then="mid", after=5)]
    contacts = {"high": ["sms", Step("push", after=2)], "mid": [{"then": "high"}], "low": low}
    sequences = some_policy(contacts=contacts).sequences("contact")
    assert [(c.channel, c.after, c.tiers) for c in written_out(sequences, "low")] == [
        ("push", 1, ("low",)), ("sms", 1, ("low", "mid", "high")), ("push", 2, ("low", "mid", "high")),
    ]  # fmt: skip


def test_waits_that_cannot_happen_under_the_churn_rule_are_told_together() -> None:
    policy = some_policy(contacts={"high": ["sms", Step("push", after=27)], "low": ["push", Step("sms", after=28)]})
    require_possible_waits(policy, 31)
    with pytest.raises(InputError, match=r"contact 2 \(sms\) of tier 'low' goes out on idle day 30 at the earliest"):
        require_possible_waits(policy, 30)
    with pytest.raises(InputError, match=r"contact 2 \(push\) of tier 'high'.*29.*; contact 2 \(sms\) of tier 'low'"):
        require_possible_waits(policy, 29)
