"""Texts of tables as notes: the English stays, and a text that is none of ours is nobody's rule."""

from __future__ import annotations

import pytest

from churnsurv.notes import Note
from churnsurv.report.catalogue import catalogue
from churnsurv.tables.said import said_group, said_list, said_name, said_rule, said_saving
from churnsurv.warning import Condition, Rule, Saving
from churnsurv.warning.idle_groups import band_labels

ZH = catalogue("zh-Hant")
LATE, POOR = Condition("idle_days", ">", 15), Condition("balance", "<", 1_000)
OWN = Condition("value and <b>more</b> > 3", ">=", -0.5)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (Rule(), "不接觸任何人"),
        (Rule([[LATE]]), "閒置天數 > 15"),
        (Rule([[LATE, POOR]]), "閒置天數 > 15 且 餘額 < 1,000"),
        (Rule([[LATE, POOR], [LATE]]), "（閒置天數 > 15 且 餘額 < 1,000）或（閒置天數 > 15）"),
        (Rule([[Condition("P(churn)", ">", 1e-13)]]), "流失機率 > 1e-13"),
    ],
)
def test_a_rule_is_said_whole_and_its_text_stays(rule: Rule, expected: str) -> None:
    said = said_rule(str(rule))
    assert isinstance(said, Note)
    assert said == str(rule)
    assert ZH.note(said) == expected


@pytest.mark.parametrize(
    "text",
    [
        "our best guess",
        "a and b",
        "",
        "idle_days >",
        "(x",
        "idle_days > many",
        "=cmd|x < y",
        "{n} > 3 and",
        "x > 1" * 3_000,
    ],
)
def test_any_other_text_comes_back_as_it_is(text: str) -> None:
    said = said_rule(text)
    assert said == text
    assert ZH.note(said).count("{") == text.count("{")


def test_a_rule_of_a_hostile_name_keeps_the_name() -> None:
    assert "value and <b>more</b> > 3" in ZH.note(said_rule(str(Rule([[OWN, LATE]]))))


def test_bands_and_groups_of_several_columns() -> None:
    said = [
        ZH.note(said_group(each)) for each in (*band_labels((100, 1_000)), "below 100 | tv", "(missing)", "tv | 分銷")
    ]
    assert said[:4] == ["低於100", "100至未滿1,000", "1,000以上", "低於100｜tv"]
    assert said[5] == "tv | 分銷"


@pytest.mark.parametrize(
    "saving", [Saving.plateau(), Saving.linear(), Saving.from_table({"idle_days": [1, 29], "s": [0.2, 0]})]
)
def test_every_saving_that_is_tried_has_its_words(saving: Saving) -> None:
    for label, _ in saving.variants():
        said = said_saving(label)
        assert isinstance(said, Note), label
        assert ZH.note(said) != label == said


def test_long_lists_and_quotes() -> None:
    assert ZH.note(said_list(map(str, range(2_000)))).count("、") == 1_999
    assert said_name("it's") == repr("it's")
    assert ZH.note(said_name("it's")) == "「it's」"
