"""The first screen: a few large numbers, and sentences that each carry an estimate, its interval and a link."""

from __future__ import annotations

from churnsurv.plots.text import shown
from churnsurv.report.catalogue import Catalogue, Field, name, strong
from churnsurv.report.material import ENOUGH, Curves, Material, Point, Ratio, ratios
from churnsurv.report.model import Part, Sentence, Tile
from churnsurv.report.numbers import count, day, exists, ratio, share
from churnsurv.report.pieces import interval, limits, p_words
from churnsurv.report.section_backtest import backtest_summary
from churnsurv.report.section_curves import section_id
from churnsurv.report.section_recall import recall_summary
from churnsurv.report.section_studied import activity_words
from churnsurv.report.section_sweep import sweep_points
from churnsurv.report.section_warning import warning_summary
from churnsurv.report.section_who import who_summary
from churnsurv.report.section_why import why_summary

__all__ = ["summary", "tiles"]

_MOST_RATIOS = 3
_MOST_NOTES = 3
_SIGNIFICANT = 0.05


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
    link = _link(material, curves)
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
    """Return the sentences of the summary."""
    return (
        *_scope(material),
        *_overall(material),
        *(sentence for label, curves in material.split.items() for sentence in _groups(material, label, curves)),
        *who_summary(material),
        *why_summary(material),
        *warning_summary(material),
        *backtest_summary(material),
        *recall_summary(material),
        *_ratios(material),
        *_rules(material),
        *_rejects(material),
        *(_said(material.words, "studied", "summary.note", note=shown(note)) for note in material.notes[:_MOST_NOTES]),
    )


def _link(material: Material, wanted: Curves) -> str:
    ids: set[str] = set()
    links = {id(curves): section_id(label, ids) for label, curves in material.curves.items()}
    return links[id(wanted)]


def _said(words: Catalogue, link: str, key: str, **fields: Field) -> Sentence:
    """A sentence that points to its section."""
    return Sentence(words.say(key, **fields).parts, link)


def _scope(material: Material) -> list[Sentence]:
    counts, words = material.counts, material.words
    last = material.log.get("observed_until")
    if not last or any(not exists(counts.get(key)) for key in ("spells", "churned", "censored")):
        return []
    numbers = {key: strong(count(counts[key])) for key in ("churned", "censored")}
    return [
        _said(
            words,
            "studied",
            "summary.scope",
            n=strong(count(counts["spells"])),
            noun=material.noun,
            last=words.date(last),
            days=count(material.idle_days),
            activity=activity_words(material),
            **numbers,
        )
    ]


def _overall(material: Material) -> list[Sentence]:
    curves, words = material.overall, material.words
    if curves is None:
        return []
    link, noun, median = _link(material, curves), material.noun, curves.median("all")
    if not exists(median.estimate):
        found = words.say("summary.half_not", noun=noun, day=strong(day(curves.last_day["all"])))
    elif not exists(median.upper):
        found = words.say("summary.half_open", noun=noun, day=strong(day(median.estimate)), low=day(median.lower))
    else:
        on = strong(day(median.estimate))
        found = words.say("summary.half", noun=noun, day=on, range=limits(median, day))
    point = curves.at("all", material.horizon)
    if point is None:
        return [Sentence(found.parts, link)]
    value = strong(share(point.estimate))
    further = words.say("summary.survival", share=value, range=_range(material, point), day=count(material.horizon))
    return [Sentence((*found.parts, Part(" "), *further.parts), link)]


def _groups(material: Material, label: str, curves: Curves) -> list[Sentence]:
    """Lowest and highest group on the day of comparison; where the test sees no difference, only the span."""
    words = material.words
    on = float(material.horizon)
    extremes = curves.extremes(on)
    if extremes is None:
        on = min(curves.last_day[group] for group in curves.ranked)
        extremes = curves.extremes(on)
    if extremes is None or on <= 0:
        return []
    low, low_point, high, high_point = extremes
    test = material.tests.get(label)
    key = "summary.groups_untested"
    further = {}
    if test is not None and exists(test.p_value):
        key = "summary.groups" if test.p_value < _SIGNIFICANT else "summary.groups_alike"
        further["p"] = p_words(test.p_value)
    among = "" if curves.ranked == curves.groups else words.text("summary.among", n=count(ENOUGH), noun=material.noun)
    return [
        _said(
            words,
            _link(material, curves),
            key,
            column=name(label),
            among=among,
            noun=material.noun,
            day=day(on),
            low=name(low),
            low_share=strong(share(low_point.estimate)),
            low_range=_range(material, low_point),
            high=name(high),
            high_share=strong(share(high_point.estimate)),
            high_range=_range(material, high_point),
            **further,
        )
    ]


def _range(material: Material, point: Point) -> Part:
    """The limits of a share; at 0% and 100% the interval does not exist, and the sentence says so."""
    if exists(point.lower) and exists(point.upper):
        return limits(point, share)
    return Part(material.words.text("summary.no_interval", share=share(point.estimate)), "keep")


def _ratios(material: Material) -> list[Sentence]:
    """For each variable the hazard ratio surest to be far from 1, among those clear when all are allowed for.

    Allowed for after Bonferroni: of 24 cohorts that are alike, one is often clear by itself. Surest: the limit nearest
    to 1 is farthest from it; by the estimate alone the smallest category would win.
    """
    if material.cox is None:
        return []
    words, noun = material.words, material.noun
    by_variable: dict[str, list[Ratio]] = {}
    for each in ratios(material.cox.table):
        by_variable.setdefault(each.variable, []).append(each)
    found = []
    for variable, terms in by_variable.items():
        clear = [each for each in terms if each.p_value * len(terms) < _SIGNIFICANT]
        if not clear:
            if terms[0].reference is not None:
                reference = name(terms[0].reference)
                found.append(_said(words, "model", "summary.ratio_none", variable=name(variable), reference=reference))
            continue
        most = max(clear, key=_distance)
        value, span = strong(ratio(most.point.estimate)), limits(most.point, ratio)
        if most.category is None or most.reference is None:
            found.append(
                _said(words, "model", "summary.ratio_numeric", noun=noun, term=name(most.term), ratio=value, range=span)
            )
        else:
            found.append(
                _said(
                    words,
                    "model",
                    "summary.ratio",
                    variable=name(variable),
                    category=name(most.category),
                    reference=name(most.reference),
                    noun=noun,
                    ratio=value,
                    range=span,
                )
            )
    return found[:_MOST_RATIOS]


def _distance(each: Ratio) -> float:
    """How far the interval of a ratio is from 1 at least, the same for 2 and 1/2; below 1 where it holds 1."""
    point = each.point
    if point.estimate > 1:
        return point.lower
    return 1 / point.upper if point.upper > 0 else float("inf")


def _rules(material: Material) -> list[Sentence]:
    """The span of the share still active over the rules, ratios that turn, and the share who came back."""
    if material.sweep is None:
        return []
    words, frame = material.words, material.sweep.table
    found = []
    shares = sweep_points(frame, "survival")
    if len(shares) > 1:
        low, high = min(shares), max(shares)
        found.append(
            _said(
                words,
                "rule",
                "summary.sweep",
                low_days=count(low),
                high_days=count(high),
                day=count(material.horizon),
                low_share=strong(share(shares[low].estimate)),
                low_range=limits(shares[low], share),
                high_share=strong(share(shares[high].estimate)),
                high_range=limits(shares[high], share),
            )
        )
    found += _turns(material)
    returned = sweep_points(frame, "return_share").get(material.idle_days or -1)
    if returned is not None:
        value, span = strong(share(returned.estimate)), limits(returned, share)
        found.append(_said(words, "rule", "summary.returned", share=value, range=span, day=count(material.horizon)))
    return found


def _turns(material: Material) -> list[Sentence]:
    frame, words = material.sweep.table, material.words
    terms = dict.fromkeys(frame.loc[frame["quantity"] == "hazard_ratio", "group"].astype(str))
    clear, turned = 0, []
    for term in terms:
        points = sweep_points(frame, "hazard_ratio", term)
        own = points.get(material.idle_days or -1)
        if own is None or len(points) < 2 or own.lower <= 1 <= own.upper:
            continue
        clear += 1
        if any((point.estimate > 1) != (own.estimate > 1) for point in points.values()):
            turned.append(shown(term))
    if not clear:
        return []
    if not turned:
        return [_said(words, "rule", "summary.sweep_same")]
    n, m = strong(count(len(turned))), count(clear)
    return [_said(words, "rule", "summary.sweep_turns", n=n, m=m, terms=", ".join(turned))]


def _rejects(material: Material) -> list[Sentence]:
    n = len(material.rejects) if material.rejects is not None else 0
    if n == 0:
        return []
    counts = material.log.get("counts") or {}
    read = sum(int(counts[key]) for key in ("users_read", "events_read") if exists(counts.get(key)))
    return [_said(material.words, "studied", "summary.rejects", n=strong(count(n)), m=count(max(read, n)))]
