"""Every language says everything: the same keys and fields, every note of a result, and no English left on a page."""

from __future__ import annotations

import ast
import re
import string
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import churnsurv
import churnsurv as ch
from churnsurv.errors import ChurnsurvWarning
from churnsurv.notes import note
from churnsurv.report import Report, build
from churnsurv.report.catalogue import LANGUAGES, catalogue
from churnsurv.report.model import Block, Figure, Listing, Section, Sentence, Table
from churnsurv.study.run import gather_notes

PACKAGE = Path(churnsurv.__file__).parent
OTHERS = [lang for lang in LANGUAGES if lang != "en"]


def fields_of(text: str) -> Counter[str]:
    return Counter(name for _, name, _, _ in string.Formatter().parse(text) if name is not None)


# ------------------------------------------------------------------------------------------------------ the messages


@pytest.mark.parametrize("lang", OTHERS)
def test_languages_have_the_same_keys_and_fields(lang: str) -> None:
    english, said = catalogue("en").messages, catalogue(lang).messages
    assert set(said) == set(english)
    # a unit, a month and a year of English may be one word in another language: fields of dates are free
    wrong = {key for key in english if key != "date" and set(fields_of(said[key])) != set(fields_of(english[key]))}
    assert wrong == set()


@pytest.mark.parametrize("lang", OTHERS)
def test_no_message_is_left_in_english(lang: str) -> None:
    own = {"ties.efron", "ties.breslow"}  # names of people
    english, said = catalogue("en").messages, catalogue(lang).messages
    words = re.compile(r"[A-Za-z]{2,}")
    for key, text in said.items():
        bare = re.sub(r"\{[^{}]*\}", "", text)
        if text == english[key] and words.search(bare) and key not in own:
            pytest.fail(f"{lang}: {key} is English: {text!r}")


@pytest.mark.parametrize("lang", OTHERS)
def test_chinese_has_its_own_punctuation_and_characters(lang: str) -> None:
    simple = set("为们个这数据户图对应还无认从发关该说种经样进动过实总")
    texts = {**catalogue(lang).messages, **catalogue(lang).notes}
    for key, text in texts.items():
        if key.rpartition(".")[2] == "units":
            continue  # for the code that writes numbers
        assert not re.search(r"[\u4e00-\u9fff][,;:!?](?!\d)|[\u4e00-\u9fff]\.(?=\s|$)", text), key
        assert not simple & set(text), (key, simple & set(text))


# --------------------------------------------------------------------------------------------- notes of the results


@cache
def calls() -> tuple[tuple[str, str, ast.Call], ...]:
    """Every call of `note` and `counted` in the package: where it stands, the name, and the call."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if path.name == "notes.py" or not re.search(r"\b(?:note|counted)\(", text):
            continue
        where = path.relative_to(PACKAGE).as_posix()
        found += [
            (f"{where}:{node.lineno}", node.func.id, node)
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"note", "counted"}
        ]
    return tuple(found)


def literals(node: ast.expr) -> list[str] | None:
    """The texts that an argument can be: a literal, or one of two; None where the code makes it."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.IfExp):
        both = literals(node.body), literals(node.orelse)
        return None if None in both else [*(both[0] or ()), *(both[1] or ())]
    return None


@cache
def templates() -> Mapping[str, str]:
    """Every template of a note, with where it stands; those of `counted` with the nouns that are given to it."""
    found: dict[str, str] = {}
    for where, name, call in calls():
        texts = literals(call.args[0 if name == "note" else 1])
        if name == "note":
            assert texts or where.startswith("survival/frames.py"), f"{where}: the template must be a literal"
            found |= dict.fromkeys(texts or (), where)
            continue
        if texts is None:
            assert ast.unparse(call.args[1]) == "one", f"{where}: a noun that is counted must be a literal"
            texts = ["user", "assignment"]
        more = literals(call.args[2]) if len(call.args) > 2 else [f"{one}s" for one in texts]
        found |= {f"{{n}} {noun}": where for noun in (*texts, *(more or ()))}
    return found


@pytest.mark.parametrize("lang", OTHERS)
def test_every_note_has_its_words(lang: str) -> None:
    notes = catalogue(lang).notes
    lacking = [f"{where}: {text}" for text, where in templates().items() if text not in notes]
    assert not lacking, "\n".join([f"{len(lacking)} notes without words:", *lacking])


@pytest.mark.parametrize("lang", OTHERS)
def test_notes_have_their_fields_and_are_used(lang: str) -> None:
    used = templates()
    for template, said in catalogue(lang).notes.items():
        assert set(fields_of(said)) <= set(fields_of(template)), template
        missing = set(fields_of(template)) - set(fields_of(said))
        assert all(re.fullmatch(r"s|is|are|was|do|verb.*|plural.*", name) for name in missing), (template, missing)
        assert template in used, f"no code says {template!r}"


def test_a_note_within_a_note_is_said_in_the_language() -> None:
    rows = note("{n} rows", n="2,000")
    said = note("{counted} of {name} form the category {missing!r}.", counted=rows, name="age", missing="(missing)")
    assert catalogue("en").note(said) == said == "2,000 rows of age form the category '(missing)'."
    assert catalogue("zh-Hant").note(rows) == "2,000列"


def test_a_warning_stays_a_note_among_the_notes_of_a_study() -> None:
    with gather_notes() as notes:
        for _ in range(2):
            warnings.warn(note("nobody churned"), ChurnsurvWarning, stacklevel=1)
        warnings.warn("plain", ChurnsurvWarning, stacklevel=1)
    assert [catalogue("zh-Hant").note(text) for text in notes] == ["無人流失", "plain"]


def test_the_name_of_a_test_is_said_in_the_language() -> None:
    rows = pd.DataFrame({"plan": ["a", "b", "c"] * 20, "city": ["x", "y"] * 30, "duration": range(60), "churned": True})
    test = ch.logrank(rows, by="plan", strata="city", trend=True)
    assert test.method == "stratified log-rank test for trend"
    assert catalogue("zh-Hant").note(test.method) == "分層 log-rank 趨勢檢定"
    fit = ch.cox("plan", rows.assign(user_id=[f"u{i // 2}" for i in range(60)]), cluster="user_id")
    assert fit.score_test.method == "score test, rows taken as independent"
    assert catalogue("zh-Hant").note(fit.score_test.method) == "得分檢定（各列視為獨立）"


def test_notes_of_a_sweep_name_their_rule() -> None:
    rows = pd.DataFrame({"plan": ["a", "b"] * 20, "duration": [30] * 30 + [40] * 10, "churned": True})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit = ch.cox("plan", rows)
    said = note("under {days} idle days: {said}", days=14, said=caught[0].message.args[0])  # type: ignore[union-attr]
    assert said == f"under 14 idle days: {fit.notes[-1]}"
    told = catalogue("zh-Hant").note(said)
    assert told.startswith("以閒置14天為規則：第30天，40列仍在追蹤的資料中有30個流失（75%）。超過20%時")


@pytest.mark.parametrize("lang", OTHERS)
def test_a_text_of_somebody_else_stays_as_it_is(lang: str) -> None:
    assert catalogue(lang).note("A note of another hand.") == "A note of another hand."
    assert (
        catalogue(lang).note(note("A note that {nobody} has seen.", nobody="nobody")) == "A note that nobody has seen."
    )


# -------------------------------------------------------------------------------------- a whole report in a language

#: Sections by the fixtures of `build` that they are made of.
GROUPS: Mapping[str, tuple[str, ...]] = {
    "study": ("curves-all", "curves-channel", "curves-cohort", "model", "rule", "studied", "method", "reproduce"),
    "who": ("who", "who-profile", "who-bursts", "who-value"),
    "why": ("why-reasons", "why-problems", "why-monitor", "why-shocks"),
    "judged": ("warning", "backtest"),
    "campaigns": ("campaigns",),
}
PLACES = [(group, place) for group, ids in GROUPS.items() for place in ("summary", *ids)]

#: Words in Latin letters that Chinese readers know under no other name: names of methods, files, units and software.
LATIN = """
    Cox log rank Efron Breslow Kaplan Meier Greenwood Wald Bonferroni Holm Fisher Firth Newton Fine Gray Poisson
    complementary infinitesimal jackknife bootstrap Taiwan UTC Asia Taipei SHA manifest json csv churnsurv docs methods
    md toml Dunnett Student Welch Pearson Noto Sans CJK Benjamini Hochberg Yekutieli Hommel
"""
WORD = re.compile(r"[A-Za-z][A-Za-z_]+")
#: A rule of tiers as it stands in the settings: code, in no language.
_LINE = r"\(*\w+ [<>]=? ?[\d.,]*\)*"
RULE = re.compile(rf"{_LINE}(?: (?:and|or) {_LINE})*")


def texts_of(block: Block) -> Iterator[str]:
    """What a reader or a screen reader meets of a block, without the names that a user gave."""
    if isinstance(block, Sentence):
        yield " ".join(part.text for part in block.parts if part.role != "name")
    elif isinstance(block, Listing):
        for sentence in block.sentences:
            yield from texts_of(sentence)
    elif isinstance(block, Table):
        yield from (block.title, *block.columns, block.note, *(cell for row in block.rows for cell in row))
    else:
        yield from (block.title, block.caption, block.alt)
        yield from texts_in({key: value for key, value in block.options.items() if key in {"words", "panels"}})


def texts_in(value: Any) -> Iterator[str]:
    """The texts of nested options, but for keys; of a panel only what is read out."""
    if isinstance(value, str):
        yield re.sub(r"\{[^{}]*\}", "", value)
    elif isinstance(value, Mapping):
        for key, each in value.items():
            if key not in {"quantity", "variable", "group", "kind", "name", "units", "scales"}:
                yield from texts_in(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from texts_in(each)


def own_words(*tables: Any) -> set[str]:
    """The words in the names and values of tables: a user's own, said as they are."""
    found = set()
    for table in tables:
        found |= set(WORD.findall(" ".join(map(str, table.columns))))
        for name in table.select_dtypes(["object", "category", "string"]):
            found |= set(WORD.findall(" ".join({str(value) for value in table[name].unique()})))
    return found


@pytest.fixture(scope="module")
def own(hostile: Mapping[str, Any], campaign_app: Any) -> frozenset[str]:
    """Words of the users of the fixtures."""
    from tests.report.conftest import ARMS, ASKED, KINDS, NAMED, SHOCK

    given = own_words(
        *(hostile[key] for key in ("users", "events", "costs", "calendar")), campaign_app.campaigns, campaign_app.users
    )
    told = (*ARMS.values(), *NAMED.values(), *KINDS.values(), SHOCK, *ASKED["tiers"], *ASKED["variables"])
    further = """
        idle_days pre_active_days stage new growth mature n_investments tenure complaint news users events
        note with marks churn img src onerror alert saved_value contact_cost saving after
    """
    words = {*given, *WORD.findall(" ".join(told)), *further.split(), *LATIN.split()}
    return frozenset(word.lower() for word in words)


@pytest.fixture(scope="module")
def made(request: pytest.FixtureRequest) -> Any:
    """Make the report of a group of fixtures in a language, once each."""

    @cache
    def make(group: str, lang: str) -> Report:
        return build(**{"title": "t", **request.getfixturevalue(group), "lang": lang})

    return make


def english_in(report: Report, place: str, own: frozenset[str]) -> list[str]:
    """The texts of a section, or of the first page, that have a word which is neither Chinese nor a name."""
    blocks: tuple[Block, ...] = (report.subtitle, *report.summary)
    if place != "summary":
        (found,) = (section for section in report.sections if section.id == place)
        blocks = tuple(block for block in found.blocks if not _of_machines(block, found, report.lang))
    texts = [text for block in blocks for text in texts_of(block)]
    if place == "summary":
        texts += [text for tile in report.tiles for text in (tile.value, tile.range, tile.label)]
    return [text for text in dict.fromkeys(texts) if set(WORD.findall(RULE.sub("", text).lower())) - own]


def _of_machines(block: Block, section: Section, lang: str) -> bool:
    """Tables of versions, hashes, settings and titles of papers, which no language translates."""
    titles = {catalogue(lang).messages["method.sources"]} if section.id == "method" else set()
    return isinstance(block, Table) and (section.id == "reproduce" or block.title in titles)


@pytest.mark.parametrize("lang", OTHERS)
@pytest.mark.parametrize(("group", "place"), PLACES)
def test_no_english_is_left(made: Any, own: frozenset[str], group: str, place: str, lang: str) -> None:
    left = english_in(made(group, lang), place, own)
    assert not left, "\n".join([f"{len(left)} texts:", *left])


@pytest.mark.parametrize("group", GROUPS)
def test_every_section_of_the_fixtures_is_read(made: Any, group: str) -> None:
    always = {"studied", "method", "reproduce"}
    there = {section.id for section in made(group, OTHERS[0]).sections}
    assert there - always == set(GROUPS[group]) - always


@pytest.mark.parametrize("group", GROUPS)
def test_languages_have_the_same_sections_tables_and_figures(made: Any, group: str) -> None:
    first, *others = (shape(made(group, lang)) for lang in LANGUAGES)
    assert all(other == first for other in others)


def shape(report: Report) -> list[Any]:
    """What a report has, without its words."""
    rows: list[Any] = [len(report.summary), [(tile.value, tile.link) for tile in report.tiles]]
    for section in report.sections:
        rows.append(section.id)
        for block in section.blocks:
            if isinstance(block, Table):
                rows.append((len(block.columns), len(block.rows), block.numeric))
            elif isinstance(block, Figure):
                rows.append((block.name, block.kind, block.data))
            else:
                rows.append(len(block.sentences) if isinstance(block, Listing) else 1)
    return rows
