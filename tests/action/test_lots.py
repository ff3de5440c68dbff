"""Lots: the same on every machine, in the shares asked for, and independent of all but key, campaign and user."""

from __future__ import annotations

import hashlib
from fractions import Fraction

import numpy as np
import pytest
from scipy.stats import chi2_contingency, chisquare

from churnsurv.action.lots import HELD_OUT, _bounds, draw, words

KEY = "6f1d0c9be2a84735"
MANY = 100_000


def test_the_numbers_of_a_lot_are_the_same_on_every_machine() -> None:
    first, second = words([1, "17", "ü", "user 9"], campaign="spring", key=KEY)
    assert [f"{x:016x}" for x in first.tolist()] == [
        "113f4d672c79b452", "93c51f1ac3f3b331", "2dd8821c7ec86c8d", "3026965580d37d24",
    ]  # fmt: skip
    assert [f"{x:016x}" for x in second.tolist()] == [
        "16461d7c6f5cd465",
        "eb61d778db4dfeb0",
        "08815e6eac1b8575",
        "7838c2dd65b437d0",
    ]


def test_a_lot_is_the_keyed_hash_that_the_documentation_names() -> None:
    first, second = words([12_345], campaign="autumn 2025", key=KEY)
    digest = hashlib.blake2b(b"autumn 2025\n12345", key=KEY.encode(), digest_size=16).hexdigest()
    assert f"{int(first[0]):016x}{int(second[0]):016x}" == digest


def test_lots_do_not_hang_on_type_or_order_of_ids_or_on_who_else_is_drawn() -> None:
    arms = {"b": 0.3, "a": 0.7}
    settings = {"campaign": "spring", "key": KEY, "holdout": 0.2}
    numbers = draw(range(500), arms=arms, **settings)
    texts = draw(map(str, reversed(range(500))), arms=dict(sorted(arms.items())), **settings)
    assert numbers.arms == texts.arms == ("a", "b")
    assert numbers.arm.tolist() == texts.arm.tolist()[::-1]
    assert draw([321], arms=arms, **settings).arm[0] == numbers.arm[321]


def test_shares_are_those_asked_for() -> None:
    lots = draw(range(MANY), campaign="spring", key=KEY, holdout=0.15, arms={"a": 0.5, "b": 0.3, "c": 0.2})
    expected = np.array([0.85 * 0.5, 0.85 * 0.3, 0.85 * 0.2, 0.15])
    assert lots.shares.tolist() == pytest.approx(expected.tolist(), abs=1e-15)
    counts = np.bincount(np.where(lots.arm == HELD_OUT, 3, lots.arm), minlength=4)
    assert chisquare(counts, MANY * expected).pvalue > 0.001


def test_the_two_numbers_fill_their_range_evenly_and_independently() -> None:
    first, second = words(range(MANY), campaign="spring", key=KEY)
    cells = np.zeros((16, 16))
    np.add.at(cells, (first >> np.uint64(60), second >> np.uint64(60)), 1)
    assert chisquare(cells.ravel()).pvalue > 0.001
    low = np.bincount((first & np.uint64(255)).astype(np.int64), minlength=256)
    assert chisquare(low).pvalue > 0.001


def test_campaigns_keys_and_runs_of_ids_are_independent() -> None:
    arms = {"a": 0.5, "b": 0.5}
    spring = draw(range(MANY), campaign="spring", key=KEY, holdout=0.3, arms=arms).arm
    others = {
        "campaign": draw(range(MANY), campaign="spring 2", key=KEY, holdout=0.3, arms=arms).arm,
        "key": draw(range(MANY), campaign="spring", key=KEY[::-1], holdout=0.3, arms=arms).arm,
        "next id": np.roll(spring, 1),
        "parity of the id": np.arange(MANY) % 3 - 1,
        "block of ids": np.arange(MANY) * 3 // MANY - 1,
    }
    for name, other in others.items():
        table = np.zeros((3, 3))
        np.add.at(table, (spring + 1, other + 1), 1)
        assert chi2_contingency(table).pvalue > 0.001, name


def test_parts_of_arms_are_exact_and_nobody_falls_between_them() -> None:
    thirds = [1 / 3] * 3  # they add up to less than 1
    assert _bounds(thirds).tolist() == [int(Fraction(k, 3) * 2**64) for k in (1, 2)]
    assert _bounds([1.0]).size == 0
    nobody = draw(range(2_000), campaign="a", key=KEY, holdout=0.0, arms={"a": 1.0})
    assert set(nobody.arm.tolist()) == {0}
    nearly_all = draw(range(2_000), campaign="a", key=KEY, holdout=1 - 2**-53, arms={"a": 1.0})
    assert set(nearly_all.arm.tolist()) == {HELD_OUT}
    assert draw([], campaign="a", key=KEY, holdout=0.5, arms={"a": 1.0}).arm.size == 0
