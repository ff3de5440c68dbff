from __future__ import annotations

import re
import string
from collections.abc import Mapping

import pytest

from churnsurv.plots import (
    backtests,
    bursts,
    channels,
    idle_risks,
    profile,
    structure,
    surfaces,
    tiers,
    timelines,
    value_days,
)
from churnsurv.plots.words import WORDS
from churnsurv.report.catalogue import LANGUAGES, catalogue, name, strong
from churnsurv.report.model import Part
from churnsurv.report.numbers import NOTHING, between, count, day, number, p_value, ratio, share
from churnsurv.report.pieces import plot_words, safe_name


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.5, "50.0%"), (0.0, "0%"), (1, "100%"), (0.00004, "< 0.01%"), (0.99997, "> 99.99%"), (0.012, "1.2%")],
)
def test_shares(value: float, expected: str) -> None:
    assert share(value) == expected


@pytest.mark.parametrize("form", [share, ratio, day, count, number, p_value])
def test_what_is_not_there_is_a_dash(form: object) -> None:
    assert form(None) == form(float("nan")) == NOTHING  # type: ignore[operator]


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.00099, "< 0.001"), (0.001, "0.001"), (0.0994, "0.099"), (0.0996, "0.10"), (0.05, "0.050"), (0.0, "< 0.001")],
)
def test_p_values(value: float, expected: str) -> None:
    assert p_value(value) == expected


def test_intervals_with_signs_are_spelled() -> None:
    assert between("-3", "4") == "-3 to 4"
    assert between("< 0.01%", "0.5%") == "< 0.01% to 0.5%"


def test_a_sentence_keeps_names_and_numbers_apart() -> None:
    sentence = catalogue("en").say("curves.title", column=name("{day} <b>"))
    assert sentence.parts == (Part("Churn by "), Part("{day} <b>", "name"))
    assert sentence.text == "Churn by “{day} <b>”"
    assert strong("1").role == "number"


def fields_of(text: str) -> set[str]:
    return {field for _, field, _, _ in string.Formatter().parse(text) if field}


def room_of(messages: Mapping[str, str], room: str) -> dict[str, str]:
    return {key.removeprefix(f"{room}."): text for key, text in messages.items() if key.startswith(f"{room}.")}


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_language_has_the_words_of_the_figures(lang: str) -> None:
    """A word of all figures stands in the room of all, or in that of curves and ratios, which is older."""
    messages = catalogue(lang).messages
    own, shared = room_of(messages, "plot"), room_of(messages, "plot_any")
    assert set(own) | set(shared) == {word for word in WORDS if not word.startswith("quantity.")}
    for word, text in {**own, **shared}.items():
        if word != "time":
            assert fields_of(text) == fields_of(WORDS[word]), word


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize(
    ("room", "own", "left_out"),
    [
        ("plot_structure", structure._WORDS, {"users", "users_on", "living", "churned"}),
        ("plot_life", structure._WORDS, {"area", "shade", "no_shade", "users_on", "of_churned", "of_cell"}),
        ("plot_profile", profile._WORDS, {word for word in profile._WORDS if word.startswith("variable.")}),
        ("plot_bursts", bursts._WORDS, set()),
        ("plot_value", channels._WORDS, set()),
        ("plot_idle", idle_risks._WORDS, set()),
        ("plot_tiers", tiers._WORDS, set()),
        ("plot_value_day", value_days._WORDS, set()),
        ("plot_surface", surfaces._WORDS, set()),
        ("plot_timeline", timelines._WORDS, set()),
        ("plot_backtest", backtests._WORDS, set()),
    ],
)
def test_figures_of_one_kind_have_their_words(lang: str, room: str, own: Mapping[str, str], left_out: set[str]) -> None:
    words = catalogue(lang)
    said = plot_words(words, room)
    assert set(own) - left_out <= set(said)
    assert set(room_of(words.messages, room)) <= set(own) | set(WORDS)
    for word in set(own) & set(said):
        assert fields_of(said[word]) == fields_of(own[word]), word
    assert {word for word in profile._WORDS if word.startswith("variable.")} <= set(words.messages)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_languages_have_the_same_keys(lang: str) -> None:
    assert set(catalogue(lang).messages) == set(catalogue("en").messages)
    assert len(catalogue(lang).messages["months"].split()) == 12


def test_file_names_are_safe_and_unique() -> None:
    taken: set[str] = set()
    names = [safe_name("survival", label, taken) for label in ("../../etc", "分銷", "流失", "A b", "a-B", "x" * 300)]
    assert names[:5] == ["survival_etc", "survival", "survival_2", "survival_a_b", "survival_a_b_2"]
    assert len(names[5]) < 60


@pytest.mark.parametrize("lang", LANGUAGES)
def test_shades_are_named_for_light_and_dark_paper_alike(lang: str) -> None:
    """On dark paper what is high is bright: texts speak of strong and weak shades."""
    said = {key: text for key, text in catalogue(lang).messages.items() if key != "page.dark"}
    colours = re.compile(r"\b(dark|darker|pale|paler|bright|brighter)\b|深色|淺色|越深|越淺|而深|而淺")
    assert [key for key, text in said.items() if colours.search(text)] == []
