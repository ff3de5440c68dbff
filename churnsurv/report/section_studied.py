"""What was studied: the rule in words, the window, how rows became spells, and every row that was left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date

from churnsurv.report.catalogue import Field, strong
from churnsurv.report.material import Material
from churnsurv.report.model import Block, Listing, Part, Section, Sentence, Table
from churnsurv.report.numbers import bracketed, count, day, exists, share
from churnsurv.report.pieces import limits as limits_of
from churnsurv.report.pieces import noted, table
from churnsurv.report.section_sweep import sweep_points

__all__ = ["activity_words", "studied"]

_LOG_COUNTS = (
    *("users_read", "users_rejected", "equal_users_collapsed", "users"),
    *("events_read", "events_rejected", "outside_window", "events", "other_kinds", "equal_events"),
)
_SPELL_COUNTS = (
    *("left_truncated_excluded", "undetermined", "not_seen", "life_not_observed", "ended_before_entry"),
    *("spells", "churned", "censored", "returned", "no_risk", "person_days", "activity_days"),
)
# Shown even where they are zero: a reader looks for them.
_ALWAYS = {"users_read", "users", "events_read", "events", "spells", "churned", "censored", "users_rejected"} | {
    "events_rejected"
}


def studied(material: Material) -> Section:
    """Return the section."""
    words = material.words
    found = [_rule(material), _window(material), _clock(material)]
    blocks: list[Block] = [sentence for sentence in found if sentence is not None]
    blocks += _left_out(material)
    blocks += noted(words, "studied.kept_in_mind", [*material.notes, *material.absent])
    limits = list(_limits(material))
    if limits:
        blocks += [Sentence((Part(words.text("studied.limits"), "number"),)), Listing(tuple(limits))]
    blocks += [found for found in (_counts(material), _rejects(material), _check(material)) if found is not None]
    return Section("studied", words.text("studied.title"), tuple(blocks))


def activity_words(material: Material) -> Part:
    """Return the kinds of activity in words: "login or invest"."""
    kinds = material.activity
    words = material.words
    if kinds is None:
        return Part(words.text("any_event"))
    return Part(words.listed([words.text("kind", kind=each) for each in kinds]))


def _rule(material: Material) -> Sentence | None:
    if material.idle_days is None:
        return None
    days = strong(count(material.idle_days))
    return material.words.say("studied.rule", days=days, activity=activity_words(material))


def _window(material: Material) -> Sentence | None:
    first, last = material.log.get("observed_from"), material.log.get("observed_until")
    if not first or not last:
        return None
    words = material.words
    days = (date.fromisoformat(str(last)[:10]) - date.fromisoformat(str(first)[:10])).days + 1
    return words.say("studied.window", first=strong(words.date(first)), last=strong(words.date(last)), n=count(days))


def _clock(material: Material) -> Sentence | None:
    timestamps, zone = (material.log.get(key, material.spells.get(key)) for key in ("timestamps", "time_zone"))
    if not timestamps or not zone:
        return None
    return material.words.say("studied.clock", timestamps=str(timestamps), zone=str(zone))


def _left_out(material: Material) -> list[Block]:
    """Sentences on censored, left-truncated and undecidable users, where there are any."""
    words, counts = material.words, material.counts
    days = count(material.idle_days)
    kind = "studied.returns" if material.spells.get("spells") == "all" else "studied.first"
    blocks: list[Block] = [words.say(kind)]
    if material.spells.get("left_truncated") == "assume_first_spell":
        blocks.append(words.say("studied.assumed"))
    if counts.get("censored"):
        number = strong(count(counts["censored"]))
        blocks.append(words.say("studied.undecided", n=number, noun=material.counted_noun, days=days))
    for key, message in (("left_truncated_excluded", "studied.excluded"), ("undetermined", "studied.undetermined")):
        if counts.get(key):
            blocks.append(words.say(message, n=strong(count(counts[key]))))
    return blocks


def _limits(material: Material) -> Iterator[Sentence]:
    """What the study cannot know, in the numbers of this study."""
    words, counts, log = material.words, material.counts, material.log
    if material.idle_days is not None:
        fields: dict[str, Field] = {"days": count(material.idle_days), "activity": activity_words(material)}
        back = (
            None
            if material.sweep is None
            else sweep_points(material.sweep.table, "return_share").get(material.idle_days)
        )
        if back is None:
            yield words.say("limit.rule", **fields)
        else:
            value, span = strong(share(back.estimate)), limits_of(back, share)
            yield words.say("limit.rule_back", share=value, range=span, horizon=count(material.horizon), **fields)
    overall = material.overall
    if overall is not None:
        last, at_risk = overall.last_day["all"], overall.at_risk(material.horizon)
        followed = {
            "last": day(last),
            "n": count(at_risk),
            "day": count(material.horizon),
            "noun": material.counted_noun,
        }
        yield words.say("limit.follow_up" if material.horizon < last else "limit.short", **followed)
    if counts.get("left_truncated_excluded") and log.get("observed_from"):
        yield words.say("limit.late", first=words.date(log["observed_from"]))
    if material.split or material.cox is not None:
        yield words.say("limit.observed")
    if log.get("observed_from") and log.get("observed_until"):
        yield words.say("limit.times", first=words.date(log["observed_from"]), last=words.date(log["observed_until"]))


def _counts(material: Material) -> Table | None:
    words = material.words
    given = {**dict(material.log.get("counts") or {})}
    order = [key for key in _LOG_COUNTS if key in given]
    order += [key for key in given if key not in _LOG_COUNTS]
    spells = {key: value for key, value in material.counts.items() if key != "users"}
    order += [key for key in _SPELL_COUNTS if key in spells and key not in order]
    order += [key for key in spells if key not in order]
    rows = []
    for key in order:
        value = {**given, **spells}[key]
        if not isinstance(value, Mapping) and exists(value) and (value or key in _ALWAYS):
            what = words.text(f"count.{key}") if words.has(f"count.{key}") else key.replace("_", " ")
            meaning = words.text(f"meaning.{key}") if words.has(f"meaning.{key}") else ""
            rows.append((what, count(value), meaning))
    headings = [words.text(f"counts.{key}") for key in ("what", "n", "meaning")]
    return table(words.text("counts.title"), headings, rows, text_columns=(2,)) if rows else None


def _rejects(material: Material) -> Table | Sentence | None:
    words, rejects = material.words, material.rejects
    if rejects is None:
        return None
    if len(rejects) == 0:
        return words.say("rejects.none")
    rows = []
    for (source, reason), some in rejects.groupby(["table", "reason"], sort=False, observed=True):
        values = some["value"].dropna()
        users = some["user_id"].dropna()
        example = values.iloc[0] if len(values) else (users.iloc[0] if len(users) else "")
        label = words.text(f"reason.{reason}") if words.has(f"reason.{reason}") else str(reason)
        rows.append((source, label, count(len(some)), f"{example}"[:80]))
    headings = [words.text(f"rejects.{key}") for key in ("table", "reason", "n", "example")]
    return table(words.text("rejects.title"), headings, rows, numeric_from=2, text_columns=(3,))


def _check(material: Material) -> Table | None:
    words, check = material.words, material.check
    if check is None or len(check) == 0:
        return None
    rows = []
    for row in check.to_dict("records"):
        severity = str(row["severity"])
        label = words.text(f"severity.{severity}") if words.has(f"severity.{severity}") else severity
        n = count(row["n_rows"]) if exists(row["n_rows"]) else ""
        kind = str(row["problem"])
        known = next((key for key in (f"reason.{kind}", f"problem.{kind}") if words.has(key)), None)
        problem = words.text(known) if known else kind.replace("_", " ")
        problem += bracketed(str(row["example"])) if exists(row["example"]) else ""
        advice = words.note(row["advice"]) if exists(row["advice"]) else ""
        rows.append((label, row["table"], problem, n, advice))
    headings = [words.text(f"check.{key}") for key in ("severity", "table", "problem", "n", "advice")]
    return table(words.text("check.title"), headings, rows, numeric_from=3, text_columns=(4,))
