"""What users did: churned against retained over a common early window, and over whole spells as a description."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from churnsurv.report.catalogue import Catalogue, name, strong
from churnsurv.report.group_names import group_of
from churnsurv.report.material import Material
from churnsurv.report.model import Block, Figure, Listing, Part, Section, Sentence, Table
from churnsurv.report.numbers import count, exists, p_value, ratio, share
from churnsurv.report.pieces import (
    and_listed,
    capital,
    columns_of,
    estimate,
    filled,
    limits,
    noted,
    plot_words,
    safe_name,
    table,
)
from churnsurv.report.profile_words import notes_of, number_of, side_of, variable_of, variable_words
from churnsurv.report.table_one import table_one

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["profile_section", "profile_summary"]

Row = dict[Any, Any]

_LINK = "who-profile"
_TOLD = 4
_FIGURES = 3
_ROWS = 60
_COUNT, _MOST = "n_investments", 10


def profile_section(material: Material) -> Section | None:
    """Return the section; None without a profile."""
    early, spell = material.profile, material.spell_profile
    if early is None and spell is None:
        return None
    words = material.words
    blocks: list[Block] = []
    if early is not None:
        blocks += _early(material, early)
    if spell is not None:
        blocks += _spell(material, spell)
    for heading, result in (("profile.notes", early), ("profile.spell_notes", spell)):
        blocks += noted(words, heading, notes_of(words, result)) if result is not None else []
    if early is None:
        return Section(_LINK, words.text("profile.spell_title"), tuple(blocks))
    return Section(_LINK, words.text("profile.title", window=count(early.window)), tuple(blocks))


def profile_summary(material: Material) -> Sentence | None:
    """The clearest cut of the early window; None where none is clear."""
    early = material.profile
    rows = [] if early is None or len(early.groups) > 1 else _clear(early)
    if not rows:
        return None
    side = side_of(material.words, rows[0])
    found = material.words.say(
        "summary.profile",
        window=count(early.window),
        horizon=count(early.horizon),
        said=side.words,
        churned=strong(share(side.churned.estimate)),
        churned_range=limits(side.churned, share),
        retained=strong(share(side.retained.estimate)),
        retained_range=limits(side.retained, share),
        ratio=strong(ratio(side.ratio.estimate)),
        range=limits(side.ratio, ratio),
    )
    return Sentence(found.parts, _LINK)


# ------------------------------------------------------------------------------------------------------ early window


def _early(material: Material, early: Any) -> list[Block]:
    words, counts = material.words, early.counts
    intro = words.say(
        "profile.intro",
        n=strong(count(counts["churned"] + counts["retained"])),
        alive=count(early.window + (material.idle_days or 0)),
        churned=strong(count(counts["churned"])),
        horizon=count(early.horizon),
        window=count(early.window),
    )
    several = len(early.groups) > 1
    told = [_cut(material, row, several=several) for row in _clear(early)[:_TOLD]]
    told = told or [words.say("profile.none")]
    blocks: list[Block] = [intro, Listing(tuple(told))]
    taken: set[str] = set()
    blocks += [_figure(material, early, group, taken) for group in early.groups[:_FIGURES] if _has(early, group)]
    return [*blocks, _cuts(material, early), table_one(material, early)]


def _clear(early: Any) -> list[Row]:
    """Suggested cuts that stand once the search and the number of comparisons are allowed for, the clearest first."""
    rows: list[Row] = early.table.to_dict("records")
    clear = [
        row
        for row in rows
        if row["suggested"] and exists(row["adjusted_p_value"]) and row["adjusted_p_value"] <= 1 - early.level
    ]
    return sorted(clear, key=lambda row: -abs(row["statistic"]))


def _cut(material: Material, row: Row, *, several: bool) -> Sentence:
    words, side = material.words, side_of(material.words, row)
    found = words.say(
        "profile.cut",
        said=capital(side.words),
        churned=strong(share(side.churned.estimate)),
        churned_range=limits(side.churned, share),
        retained=strong(share(side.retained.estimate)),
        retained_range=limits(side.retained, share),
        ratio=strong(ratio(side.ratio.estimate)),
        range=limits(side.ratio, ratio),
    )
    if not several:
        return found
    return Sentence((name(group_of(words, row["group"])), Part(words.messages["colon"]), *found.parts))


def _drawn(rows: pd.DataFrame) -> list[str]:
    """Variables with more than one cut: a single one is told by the table alone."""
    sizes = rows.groupby("variable", sort=False).size()
    return [str(variable) for variable, n in sizes.items() if n > 1]


def _has(profile: Any, group: str) -> bool:
    return bool(_drawn(profile.table[profile.table["group"].astype(str) == group]))


def _figure(material: Material, early: Any, group: str, taken: set[str]) -> Figure:
    words, frame = material.words, early.table
    rows = frame[frame["group"].astype(str) == group]
    several = len(early.groups) > 1
    title = words.text("profile.figure", window=count(early.window), horizon=count(early.horizon))
    variables = _drawn(rows)
    return Figure(
        name=safe_name("profile", group if several else "", taken),
        kind="churn_profile",
        title=title + words.bracketed(group_of(words, group)) if several else title,
        caption=words.text("profile.caption", level=f"{100 * early.level:g}%"),
        alt=title,
        data=columns_of(rows),
        options={
            "level": early.level,
            "panels": [{"quantity": each, "alt": _alt(words, rows, each)} for each in variables],
            "words": plot_words(words, "plot_profile", **variable_words(words, variables)),
        },
    )


def _alt(words: Catalogue, rows: pd.DataFrame, variable: str) -> str:
    told = [
        words.text(
            "profile.alt_cut",
            cut=number_of(variable, row["cut"]),
            churned=share(row["share_churned"]),
            retained=share(row["share_retained"]),
        )
        for row in rows[rows["variable"] == variable].to_dict("records")
    ]
    return words.text("profile.alt", variable=variable_of(words, variable), cuts=words.semicolons(told))


def _cuts(material: Material, early: Any) -> Table:
    """The suggested cut of each variable and group, both shares and both risks."""
    words, several = material.words, len(early.groups) > 1
    keys = ("said", "of_churned", "of_retained", "inside", "outside", "ratio", "p")
    headings = [words.text(f"profile.{key}") for key in keys]
    rows = []
    for row in early.table.to_dict("records"):
        if not row["suggested"]:
            continue
        side = side_of(words, row)
        rows.append([
            _whose(words, row, side.words) if several else capital(side.words),
            estimate(side.churned, share), estimate(side.retained, share), share(side.inside), share(side.outside),
            estimate(side.ratio, ratio), p_value(row["adjusted_p_value"]),
        ])  # fmt: skip
    key = "profile.cuts_note" if early.limits == "simultaneous" else "profile.cuts_note_alone"
    title = words.text("profile.cuts", window=count(early.window), horizon=count(early.horizon))
    return table(title, headings, rows[:_ROWS], note=words.text(key, adjust=words.text(f"adjust.{early.adjust}")))


# ------------------------------------------------------------------------------------------------------- whole spells


def _spell(material: Material, spell: Any) -> list[Block]:
    """The description: one sentence that says so, and a table without tests."""
    words, counts = material.words, spell.counts
    group = spell.groups[0]
    rows = [row for row in _striking(spell) if str(row["group"]) == group]
    items = []
    for row in rows[:_TOLD]:
        side = side_of(words, row)
        item = words.say(
            "profile.spell_item",
            said=side.words,
            churned=strong(share(side.churned.estimate)),
            churned_range=limits(side.churned, share),
            retained=strong(share(side.retained.estimate)),
            retained_range=limits(side.retained, share),
        )
        items.append(item.parts)
    sentence = filled(
        words,
        "profile.spell" if len(spell.groups) == 1 else "profile.spell_group",
        {
            "items": and_listed(words, items, clauses=True),
            **({} if len(spell.groups) == 1 else {"group": [name(group_of(words, group))]}),
        },
        n=strong(count(counts["churned"])),
        m=strong(count(counts["retained"])),
    )
    return [*([sentence] if items else []), _spell_table(material, spell)]


def _striking(spell: Any) -> list[Row]:
    """The cut of each variable and group at which the two groups of users differ most."""
    frame = spell.table.dropna(subset=["difference"])
    best = frame.groupby(["group", "variable"], sort=False)["difference"].agg(lambda column: column.abs().idxmax())
    rows: list[Row] = frame.loc[sorted(best)].to_dict("records")
    return rows


def _whose(words: Catalogue, row: Row, said: str) -> str:
    return words.headed(group_of(words, row["group"]), said)


def _spell_table(material: Material, spell: Any) -> Table:
    """The lower cuts of the number of investments, and of the other variables the one that differs most."""
    words, several = material.words, len(spell.groups) > 1
    striking = {(row["group"], row["variable"], row["cut"]) for row in _striking(spell)}
    rows = []
    for row in spell.table.to_dict("records"):
        key = (row["group"], row["variable"], row["cut"])
        told = key in striking or (row["variable"] == _COUNT and row["cut"] <= _MOST)
        if not exists(row["difference"]) or not told:
            continue
        side = side_of(words, row)
        cells = [_whose(words, row, side.words) if several else capital(side.words)]
        rows.append([*cells, estimate(side.churned, share), estimate(side.retained, share)])
    headings = [words.text(f"profile.{key}") for key in ("said", "of_churned", "of_living")]
    note = words.text("profile.spell_note")
    return table(words.text("profile.spell_table"), headings, rows[:_ROWS], note=note)
