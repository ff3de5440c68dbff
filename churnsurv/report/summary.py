"""The first page: a few large numbers, and sentences that each carry an estimate, its interval and a link.

It fits one page: each question has its surest and largest answers first, and what finds no room stands in its section.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from churnsurv.plots.text import shown
from churnsurv.report.catalogue import strong
from churnsurv.report.material import Material
from churnsurv.report.model import Sentence, Tile
from churnsurv.report.numbers import count, day, exists, share
from churnsurv.report.pieces import interval
from churnsurv.report.section_alerts import alerts_summary
from churnsurv.report.section_backtest import backtest_summary
from churnsurv.report.section_curves import curves_link, groups_apart, groups_sentence, overall_sentence
from churnsurv.report.section_model import ratio_sentences
from churnsurv.report.section_recall import recall_summary
from churnsurv.report.section_studied import activity_words
from churnsurv.report.section_sweep import sweep_sentences
from churnsurv.report.section_warning import warning_summary
from churnsurv.report.section_who import who_summary
from churnsurv.report.section_why import why_summary

__all__ = ["summary", "tiles"]

#: As many sentences as one page holds beside the large numbers.
MOST = 12
#: Sections that answer one question, the one that tells most first.
_FIRST = (
    *("who", "who-value", "who-bursts", "who-profile"),
    *("why-reasons", "why-monitor", "why-problems", "why-shocks"),
)
#: Rows left out in this share or more are told among the first answers.
_MANY_REJECTS = 0.01


def tiles(material: Material) -> tuple[Tile, ...]:
    """Return the large numbers: users, churns, the median, and the share still active on the day of comparison."""
    words, counts = material.words, material.counts
    found = []
    if exists(counts.get("spells")):
        label = words.text("tile.users", noun=material.noun)
        found.append(Tile(count(counts["spells"]), "", label, "studied"))
    if exists(counts.get("churned")):
        found.append(Tile(count(counts["churned"]), "", words.text("tile.churned"), "studied"))
    curves = material.overall
    if curves is None:
        return tuple(found)
    link = curves_link(material, curves)
    median = curves.median("all")
    if exists(median.estimate):
        open_end = not exists(median.upper)
        span = words.text("curves.beyond", low=day(median.lower)) if open_end else interval(median, day)
        found.append(Tile(day(median.estimate), span, words.text("tile.half"), link))
    else:
        label = words.text("tile.half_not", day=day(curves.last_day["all"]))
        found.append(Tile("–", "", label, link))
    point = curves.at("all", material.horizon)
    if point is not None:
        label = words.text("tile.survival", day=count(material.horizon))
        span = interval(point, share) if exists(point.lower) else ""
        found.append(Tile(share(point.estimate), span, label, link))
    return tuple(found)


def summary(material: Material) -> tuple[Sentence, ...]:
    """Return the sentences of the summary, at most `MOST` of them, in the order of the questions."""
    rejects, many = _rejects(material)
    questions = [
        [*_scope(material), *(rejects if many else [])],
        _overall(material),
        who_summary(material),
        _groups(material),
        _linked(ratio_sentences(material), "model"),
        why_summary(material),
        warning_summary(material),
        backtest_summary(material),
        alerts_summary(material),
        recall_summary(material),
        _linked(sweep_sentences(material), "rule"),
    ]
    kept = _chosen(questions)
    # what was left out or must be kept in mind has the room that is left, and stands whole in its section
    return (*kept, *[*([] if many else rejects), *_notes(material)][: MOST - len(kept)])


def _chosen(questions: Sequence[Sequence[Sentence]]) -> list[Sentence]:
    """The first answer to each question, then the second to each, until the page is full; told in their own order."""
    deepest = max(len(answers) for answers in questions)
    ranked = [[at for at, _ in sorted(enumerate(answers), key=_rank)] for answers in questions]
    turns = [(q, order[turn]) for turn in range(deepest) for q, order in enumerate(ranked) if turn < len(order)]
    return [questions[q][at] for q, at in sorted(turns[:MOST])]


def _rank(answer: tuple[int, Sentence]) -> int:
    """Which answer to a question goes first; those that no list ranks keep their order."""
    link = str(answer[1].link)
    return _FIRST.index(link) if link in _FIRST else -1


def _linked(sentences: Iterable[Sentence], link: str) -> list[Sentence]:
    """Sentences that point to their section."""
    return [Sentence(sentence.parts, link) for sentence in sentences]


def _scope(material: Material) -> list[Sentence]:
    counts, words = material.counts, material.words
    last = material.log.get("observed_until")
    if not last or any(not exists(counts.get(key)) for key in ("spells", "churned", "censored")):
        return []
    told = words.say(
        "summary.scope",
        n=strong(count(counts["spells"])),
        noun=material.counted_noun,
        last=words.date(last),
        days=count(material.idle_days),
        activity=activity_words(material),
        churned=strong(count(counts["churned"])),
        censored=strong(count(counts["censored"])),
    )
    return _linked([told], "studied")


def _overall(material: Material) -> list[Sentence]:
    curves, told = material.overall, overall_sentence(material)
    return [] if curves is None or told is None else _linked([told], curves_link(material, curves))


def _groups(material: Material) -> list[Sentence]:
    """A sentence for each column that splits the curves, the groups that are furthest apart first."""
    split = sorted(material.split.items(), key=lambda item: -groups_apart(material, *item))
    found = []
    for label, curves in split:
        told = groups_sentence(material, label, curves)
        found += [] if told is None else _linked([told], curves_link(material, curves))
    return found


def _rejects(material: Material) -> tuple[list[Sentence], bool]:
    """How many rows could not be used, and whether they are many."""
    n = len(material.rejects) if material.rejects is not None else 0
    if n == 0:
        return [], False
    counts = material.log.get("counts") or {}
    read = max(n, sum(int(counts[key]) for key in ("users_read", "events_read") if exists(counts.get(key))))
    told = material.words.say("summary.rejects", n=strong(count(n)), m=count(read))
    return _linked([told], "studied"), n >= _MANY_REJECTS * read


def _notes(material: Material) -> list[Sentence]:
    words = material.words
    return _linked([words.say("summary.note", note=shown(words.note(note))) for note in material.notes[:3]], "studied")
