from __future__ import annotations

import math

import pytest

from churnsurv.report.catalogue import LANGUAGES, catalogue
from churnsurv.report.material import Point
from churnsurv.report.numbers import between, count, day, in_words_of, money, p_value, ratio, share
from churnsurv.report.pieces import estimate
from churnsurv.report.sorting import sort_keys, value_of

EN, ZH = (catalogue(lang).messages for lang in LANGUAGES)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1,234,567", 1_234_567),
        ("41.2% (40.1–42.3%)", 41.2),
        ("-12.51 (-19.89 to -5.13)", -12.51),
        ("−3", -3),
        ("4.30M", 4_300_000),
        ("-33.9k (-40k to 1)", -33_900),
        ("1.2e+05", 120_000),
        ("15–20", 15),
        ("30 days", 30),
        ("3 kinds", 3),
        ("from day 68", 68),
        ("∞", math.inf),
        ("not reached", None),
        ("17 (13.5 or more)", 17),
        ("13.5 or more", 13.5),
    ],
)
def test_the_first_number_of_a_text(text: str, value: float | None) -> None:
    assert value_of(text, EN) == value


def test_limits_stand_beside_what_they_limit() -> None:
    texts = ["0.001", "< 0.001", "99.99%", "> 99.99%"]
    below, above = value_of("< 0.001", EN), value_of("> 99.99%", EN)
    assert sort_keys(texts, EN, numeric=True) == [0.001, below, 99.99, above]
    assert below is not None
    assert above is not None
    assert below < 0.001 < 99.99 < above


@pytest.mark.parametrize("messages", [EN, ZH], ids=LANGUAGES)
def test_numbers_as_the_report_writes_them(messages: dict[str, str]) -> None:
    values = [-2.5e9, -61_000.0, -1.5, 0.0, 0.25, 3.0, 999.0, 12_345.0, 4.3e6, 7e8]
    with in_words_of(messages):
        texts = [f"{money(value)} ({between(money(value - 1), money(value + 1))})" for value in values]
        shares = [share(value) for value in (0.0, 0.00001, 0.0005, 0.41, 0.9999, 1.0)]
        ps = [p_value(value) for value in (1e-9, 0.002, 0.5)]
        counts, ratios = [count(7), count(70_000)], [ratio(value) for value in (0.0001, 0.5, 12.0, 1e5, math.inf)]
    for said in (texts, shares, ps, counts, ratios):
        keys = sort_keys(said, messages, numeric=True)
        assert keys is not None
        assert None not in keys
        assert keys == sorted(keys)
        assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(
    ("messages", "text", "said"),
    [(EN, "17.0 (13.5 or more)", "0.5 or less"), (ZH, "17.0（13.5以上）", "0.5以下")],
    ids=LANGUAGES,
)
def test_open_intervals_are_said_and_sorted(messages: dict[str, str], text: str, said: str) -> None:
    with in_words_of(messages):
        found = estimate(Point(17.0, 13.5, math.nan), lambda value: day(value) if value != 17.0 else "17.0")
        assert found == text
        assert between("0.5", "∞") == between("0.5", "–")
        assert (between("-∞", "0.5"), between("–", "–")) == (said, "–")
        amount = f"{money(12_000.0)} ({between(money(10_000.0), money(math.nan))})"
    assert sort_keys([text, amount], messages, numeric=True) == [17, 12_000]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_days_are_sorted_as_days(lang: str) -> None:
    words = catalogue(lang)
    days = [words.date(day) for day in ("2023-12-31", "2024-02-10", "2024-10-09", "2024-10-10")]
    assert sort_keys(days, words.messages, numeric=False) == [20231231, 20240210, 20241009, 20241010]
    assert sort_keys([*days, "–", "2024-11-01"], words.messages, numeric=True)[-2:] == [None, 20241101]  # type: ignore[index]
    assert sort_keys([*days, "android"], words.messages, numeric=False) is None


def test_words_are_sorted_as_words() -> None:
    assert sort_keys(["7eleven", "a"], EN, numeric=False) is None
    assert sort_keys(["watch (92.0%)", "keep", "drop", "keep"], EN, numeric=True) is None
    assert sort_keys(["not reached", "12", "–", "9"], EN, numeric=True) == [None, 12, None, 9]
    assert sort_keys(["–", ""], EN, numeric=False) is None
