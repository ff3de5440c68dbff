"""The operators' page: whom to contact today, and every alert with its reason, on one page that needs nothing else."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from churnsurv.report.catalogue import Catalogue, catalogue
from churnsurv.report.numbers import NOTHING, between, count, exists, quantity, ratio, share
from churnsurv.report.operators_monitor import alarmed, quietly
from churnsurv.report.operators_words import REASONS, WORDS
from churnsurv.report.render import _environment, _style

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["operators_page"]

_NO_FACTS: Mapping[str, Any] = MappingProxyType({})
_DEFAULTS = dict.fromkeys(
    ("as_of", "contact_on", "tiers", "rule", "level", "campaign", "dry_run", "look", "costs", "notes", "version"),
) | {"monitor": None}
_ROWS = 500
#: Characters of a message that are shown; the whole of it is its title.
_MESSAGE = 200
_RIGHT = ("rank", "idle", "left", "risk", "value")
#: What a plan does with users, in the order in which operators look for it.
_ACTIONS = ("contact", "wait", "hold out", "leave out", "close")


def operators_page(
    alerts: pd.DataFrame,
    plan: pd.DataFrame | None = None,
    *,
    facts: Mapping[str, Any] = _NO_FACTS,
    rows: int = _ROWS,
    lang: str = "en",
) -> str:
    """Return the page.

    Every text of a user is escaped by the template. The page forbids connections, and every script but its own, which
    sorts the tables of contacts and alerts; without it the page reads the same.

    Parameters
    ----------
    alerts : DataFrame
        Schema "alerts", in its order.
    plan : DataFrame, optional
        Schema "plan", of these alerts.
    facts : mapping
        `as_of` and `contact_on` (ISO days); `tiers`, highest first; `rule`, what makes a churn; `level`; `campaign`;
        `dry_run`; `look`, sentences about the data of the day; `monitor`, as `operators_monitor.alarmed` takes it;
        `costs`, rows of schema "plan_costs"; `notes`, sentences; `version`.
    rows : int
        Contacts, and alerts, on the page; how many there are is said.
    lang : str

    Returns
    -------
    str
        A complete HTML document; the same tables give the same text.

    Raises
    ------
    InputError
        If the language is not there.

    Examples
    --------
    >>> import pandas as pd
    >>> from churnsurv.tables import schema
    >>> nobody = pd.DataFrame(columns=schema("alerts").names)
    >>> page = operators_page(nobody, facts={"as_of": "2025-05-01", "notes": ["<b>bold</b>"]})
    >>> "Nobody is in a warning tier." in page, "<b>" in page
    (True, False)
    """
    from markupsafe import Markup

    words, facts = _Words(lang), {**_DEFAULTS, **facts}
    script = _file("operators.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    living = alerts[alerts["status"] != "resolved"]
    value = bool(living["margin"].notna().any())
    tables = [] if plan is None else [_contacts_table(words, alerts, plan, facts, rows=rows, value=value)]
    tables.append(_alerts_table(words, living, plan, facts, rows=rows, value=value))
    return (
        _environment()
        .get_template("operators.html.j2")
        .render(
            lang=lang,
            words=words,
            facts=facts,
            title=words.say("title", work=words.day(facts.get("contact_on")), day=words.day(facts.get("as_of"))),
            subtitle=_subtitle(words, plan, facts),
            tiles=_tiles(words, alerts, plan, facts),
            todo=None if plan is None else _todo(words, plan, facts.get("costs") or ()),
            others=None if plan is None else _others(words, plan),
            has_plan=plan is not None,
            alarmed=alarmed(words, facts["monitor"]),
            quietly=quietly(words, facts["monitor"]),
            tables=tables,
            right=_RIGHT,
            changes=_changes(words, alerts, facts.get("tiers") or ()),
            over=_over(words, alerts),
            notes=_notes(words, facts, value=value),
            style=Markup(_style() + _file("operators.css")),  # noqa: S704  # files of this package
            script=Markup(script),  # noqa: S704
            policy=f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'",
        )
    )


class _Words:
    """The words of a language, with days as people write them."""

    def __init__(self, lang: str) -> None:
        common = catalogue(lang)  # raises where there is no such language
        self._catalogue = Catalogue(lang, {**common.messages, **WORDS})

    def say(self, key: str, /, **fields: str | int) -> str:
        """A message as plain text."""
        return self._catalogue.say(key, **fields).text

    def day(self, value: Any) -> str:
        """A day in words; a dash for none."""
        return self._catalogue.date(str(value)) if exists(value) else NOTHING

    def spaced(self, rule: Any) -> str:
        """A rule, or the name of what it looks at, with idle days as people write them; a dash for none."""
        return str(rule).replace("idle_days", self.say("alerts.idle_days")) if exists(rule) else NOTHING

    def days(self, n: Any) -> str:
        """So many days."""
        if not exists(n):
            return NOTHING
        return self.say("alerts.day") if int(n) == 1 else self.say("alerts.days", n=count(n))


@dataclass(frozen=True, slots=True)
class Cell:
    """What a cell shows, and what its column is sorted by: nothing sorts last; `whole` where the text is cut."""

    text: str
    key: str
    small: tuple[str, ...] = ()
    whole: str = ""


@dataclass(frozen=True, slots=True)
class HeadedColumn:
    """A column of a table that can be sorted."""

    key: str
    name: str
    numeric: bool


@dataclass(frozen=True, slots=True)
class Sorted:
    """A table that can be sorted, in a section of its own."""

    name: str
    title: str
    columns: tuple[HeadedColumn, ...]
    rows: tuple[Mapping[str, Cell], ...]
    counted: str
    under: str
    none: str


@dataclass(frozen=True, slots=True)
class Plain:
    """A small table: headings, and rows of texts."""

    title: str
    columns: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: tuple[tuple[str, ...], ...]


def _columns(words: _Words, keys: Sequence[str]) -> tuple[HeadedColumn, ...]:
    numeric = ("rank", "tier", "idle", "left", "risk", "value", "what")
    return tuple(HeadedColumn(key, words.say(f"alerts.{key}"), key in numeric) for key in keys)


def _contacts_table(
    words: _Words, alerts: pd.DataFrame, plan: pd.DataFrame, facts: Mapping[str, Any], *, rows: int, value: bool
) -> Sorted:
    """Whom to contact, with what."""
    contacts = plan[plan["action"] == "contact"]
    ranks, shown = _ranks(facts), []
    for place, planned in enumerate(_records(contacts.head(rows)), 1):
        shown.append(_contact(words, place, planned))
    users = [each["user_id"] for each in _records(contacts.head(rows))]
    known = {each["user_id"]: each for each in _records(alerts[alerts["user_id"].isin(users)])}
    for row, user in zip(shown, users, strict=True):
        row.update(_about(words, ranks, known[user]) if user in known else dict.fromkeys(_ABOUT, Cell(NOTHING, "")))
    said = [name for name in ("offer", "message") if contacts[name].notna().any()]
    keys = ["rank", "user", "channel", *said, "why", "tier", "left", "risk", *["value"] * value]
    n, m = len(shown), len(contacts)
    counted = words.say("contacts.shown", n=count(n), m=count(m)) if n < m else words.say("contacts.all", m=count(m))
    return Sorted("contacts", words.say("contacts.title"), _columns(words, keys), tuple(shown), counted,
                  words.say("contacts.under"), words.say("todo.none"))  # fmt: skip


def _contact(words: _Words, place: int, planned: Mapping[str, Any]) -> dict[str, Cell]:
    reward: tuple[str, ...] = ()
    if exists(planned["reward"]):
        amounts = {"amount": quantity(planned["reward"]), "condition": quantity(planned["reward_condition"])}
        reward = (words.say("alerts.reward", **amounts),)
    offer = str(planned["offer"]) if exists(planned["offer"]) else words.say("todo.no_offer")
    message = str(planned["message"]) if exists(planned["message"]) else NOTHING
    short = f"{message[:_MESSAGE]} ..." if len(message) > _MESSAGE else message
    raised = (words.say("contacts.escalated"),) if str(planned["escalated"]) == "True" else ()
    return {
        "rank": Cell(str(place), str(place)),
        "user": Cell(str(planned["user_id"]), str(planned["user_id"])),
        "channel": Cell(str(planned["channel"]), str(planned["channel"])),
        "offer": Cell(offer, offer if exists(planned["offer"]) else "", reward),
        "message": Cell(short, "" if message == NOTHING else short, (), message if short != message else ""),
        "why": Cell(str(planned["words"]), str(planned["words"]), raised),
    }


def _alerts_table(
    words: _Words, living: pd.DataFrame, plan: pd.DataFrame | None, facts: Mapping[str, Any], *, rows: int, value: bool
) -> Sorted:
    """Every alert, those for whom nothing more is sent last."""
    if plan is not None:
        closed = living["user_id"].isin(plan.loc[plan["action"] == "close", "user_id"])
        living = living.assign(_closed=closed).sort_values("_closed", kind="stable").drop(columns="_closed")
    ranks = _ranks(facts)
    shown = tuple(_row(words, ranks, place, *pair) for place, pair in enumerate(_paired(living, plan, rows), 1))
    keys = ["rank", "user", "tier", "status", "idle", "left", "risk", "fired"]
    keys += ["value"] * value + ["what"] * (plan is not None)
    n, m = len(shown), len(living)
    said = words.say("alerts.shown", n=count(n), m=count(m)) if n < m else words.say("alerts.all", m=count(m))
    order = words.say("alerts.order" if plan is None else "alerts.order_plan")
    return Sorted("alerts", words.say("alerts.title"), _columns(words, keys), shown,
                  f"{said} {order} {words.say('alerts.sort')}", words.say("alerts.under"),
                  words.say("alerts.none"))  # fmt: skip


def _ranks(facts: Mapping[str, Any]) -> dict[str, str]:
    return {str(tier): str(place) for place, tier in enumerate(facts["tiers"] or ())}


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in each.items()} for each in table.to_dict("records")]


def _paired(alerts: pd.DataFrame, plan: pd.DataFrame | None, rows: int) -> Iterator[tuple[Mapping[str, Any], Any]]:
    """The first alerts, each with what the plan says of the user."""
    first = _records(alerts.head(rows))
    planned: dict[Any, Mapping[str, Any]] = {}
    if plan is not None:
        chosen = plan[plan["user_id"].isin([each["user_id"] for each in first])]
        planned = {each["user_id"]: each for each in _records(chosen)}
    for each in first:
        yield each, planned.get(each["user_id"])


def _row(
    words: _Words, ranks: Mapping[str, str], place: int, alert: Mapping[str, Any], planned: Mapping[str, Any] | None
) -> dict[str, Cell]:
    weighs = (words.say("alerts.weighs", what=words.spaced(alert["weighs"])),) if exists(alert["weighs"]) else ()
    held = (words.say("alerts.held"),) if alert["held"] is True or str(alert["held"]) == "True" else ()
    return {
        "rank": Cell(str(place), str(place)),
        "user": Cell(str(alert["user_id"]), str(alert["user_id"])),
        "status": _status(words, alert),
        "idle": Cell(words.days(alert["idle_days"]), _key(alert["idle_days"])),
        "fired": Cell(words.spaced(alert["fired"]), words.spaced(alert["fired"]), weighs + held),
        "what": _what(words, planned),
        **_about(words, ranks, alert),
    }


_ABOUT = ("tier", "left", "risk", "value")


def _about(words: _Words, ranks: Mapping[str, str], alert: Mapping[str, Any]) -> dict[str, Cell]:
    """What both tables say of a user."""
    tier = str(alert["tier"]) if exists(alert["tier"]) else NOTHING
    return {
        "tier": Cell(tier, ranks.get(tier, "")),
        "left": Cell(words.days(alert["days_left"]), _key(alert["days_left"]), (words.day(alert["churn_date"]),)),
        "risk": _limited(alert, "risk", share),
        "value": _limited(alert, "value", quantity, of="value_at_risk"),
    }


def _key(value: Any) -> str:
    return f"{float(value):.9g}" if exists(value) else ""


def _limited(alert: Mapping[str, Any], name: str, write: Any, of: str | None = None) -> Cell:
    """A number with its limits."""
    value, low, high = alert[of or name], alert[f"{name}_lower"], alert[f"{name}_upper"]
    limits = (f"({between(write(low), write(high))})",) if exists(low) and exists(high) else ()
    return Cell(write(value), _key(value), limits)


def _status(words: _Words, alert: Mapping[str, Any]) -> Cell:
    status = str(alert["status"])
    if status == "continued":
        said = words.say("status.continued", day=words.day(alert["tier_since"]))
    elif status == "new":
        said = words.say("status.new")
    else:
        said = words.say(f"status.{status}", tier=str(alert["previous_tier"]))
    since = str(alert["tier_since"])[:10] if exists(alert["tier_since"]) else ""
    return Cell(said, since)


def _what(words: _Words, planned: Mapping[str, Any] | None) -> Cell:
    """What the plan does with a user, and why."""
    if planned is None:
        return Cell(NOTHING, "")
    action = str(planned["action"])
    said = _doing(words, action, str(planned["reason"]))
    if action == "contact":
        said = f"{said} {words.say('alerts.by', channel=str(planned['channel']))}"
    return Cell(said, str(_ACTIONS.index(action)), (str(planned["words"]),))


def _doing(words: _Words, action: str, reason: str) -> str:
    """An action in words; one that is over, by its reason: "closed" beside a high risk would read as solved."""
    if action == "close" and f"close.{reason}" in WORDS:
        return words.say(f"close.{reason}")
    return words.say(f"action.{action}")


def _subtitle(words: _Words, plan: pd.DataFrame | None, facts: Mapping[str, Any]) -> str:
    said = words.say("subtitle", day=words.day(facts.get("as_of")), rule=str(facts.get("rule") or "")).replace(" .", "")
    if plan is None:
        return said
    contacts = plan[plan["action"] == "contact"]
    window = ""
    if len(contacts):
        start, end = str(contacts["send_from"].iloc[0])[-5:], str(contacts["send_until"].iloc[0])[-5:]
        window = words.say("window", start=start, end=end) if start != end else ""
    day, campaign = words.day(facts.get("contact_on")), str(facts.get("campaign") or NOTHING)
    return f"{said} {words.say('subtitle.plan', day=day, window=window, campaign=campaign)}"


def _tiles(
    words: _Words, alerts: pd.DataFrame, plan: pd.DataFrame | None, facts: Mapping[str, Any]
) -> list[tuple[str, str, str]]:
    """Value, label and the section that tells more."""
    status = alerts["status"].value_counts()
    resolved = int(status.get("resolved", 0))
    tiles = [(count(len(alerts) - resolved), words.say("tile.in_tier"), "alerts")]
    tiles += [(count(int(status.get("new", 0))), words.say("tile.new"), "changes")]
    if plan is not None:
        n = int((plan["action"] == "contact").sum())
        tiles.insert(0, (count(n), words.say("tile.contact", day=words.day(facts.get("contact_on"))), "contacts"))
    if alerts["value_at_risk"].notna().any():
        total = float(alerts.loc[alerts["status"] != "resolved", "value_at_risk"].sum())
        return [*tiles, (quantity(total), words.say("tile.value"), "alerts")]
    return [*tiles, (count(resolved), words.say("tile.resolved"), "changes")]


def _todo(words: _Words, plan: pd.DataFrame, costs: Sequence[Mapping[str, Any]]) -> Plain | None:
    """Contacts by channel and offer, with what they cost; None where nobody is contacted."""
    contacts = plan[plan["action"] == "contact"]
    if not len(contacts):
        return None
    offers = contacts["offer"].astype(object).where(contacts["offer"].notna(), "")
    sizes = _sizes(contacts["channel"], offers)
    escalated = contacts["escalated"].astype(bool)
    raised = _sizes(contacts.loc[escalated, "channel"], offers[escalated])
    rows: list[tuple[str, ...]] = []
    for each in costs:
        channel, offer = str(each["channel"]), str(each["offer"]) if exists(each["offer"]) else ""
        every = channel == "(all)"
        n_raised = sum(raised.values()) if every else raised.get((channel, offer), 0)
        rows.append(
            (
                words.say("todo.all") if every else channel,
                "" if every else offer or words.say("todo.no_offer"),
                count(each["n"]),
                count(n_raised),
                quantity(each["contact_cost"]),
                quantity(each["promised"]),
                ratio(each["break_even"]),
            )
        )
    if not costs:
        rows = [
            (
                channel,
                offer or words.say("todo.no_offer"),
                count(n),
                count(raised.get((channel, offer), 0)),
                *[NOTHING] * 3,
            )
            for (channel, offer), n in sizes.items()
        ]
    names = ["channel", "offer", "n", "escalated", "cost", "promised", "break_even"]
    if not any(exists(each["break_even"]) for each in costs):  # nobody said what users are worth
        names, rows = names[:-1], [row[:-1] for row in rows]
    headings = tuple(words.say(f"todo.{name}") for name in names)
    numeric = (False, False, *[True] * (len(names) - 2))
    return Plain(words.say("todo.table"), headings, numeric, tuple(rows))


def _sizes(one: pd.Series[Any], other: pd.Series[Any]) -> dict[tuple[str, str], int]:
    """How often each pair of texts is there, in order."""
    pairs = Counter(zip(one.astype(str), other.astype(str), strict=True))
    return dict(sorted(pairs.items()))


def _others(words: _Words, plan: pd.DataFrame) -> Plain | None:
    """Who waits, is held out or left out, by reason."""
    rest = plan[plan["action"] != "contact"]
    if not len(rest):
        return None
    sizes = _sizes(rest["action"], rest["reason"])
    pairs = sorted(sizes.items(), key=lambda item: (_ACTIONS.index(item[0][0]), -item[1]))
    rows = tuple(
        (
            _doing(words, action, reason),
            REASONS.get(reason, reason.replace("_", " ")),
            count(n),
        )
        for (action, reason), n in pairs
    )
    headings = tuple(words.say(f"others.{name}") for name in ("action", "reason", "n"))
    return Plain(words.say("others.table"), headings, (False, False, True), rows)


def _changes(words: _Words, alerts: pd.DataFrame, tiers: Sequence[str]) -> Plain | None:
    names = [str(tier) for tier in tiers] or [str(tier) for tier in dict.fromkeys(alerts["tier"].dropna())]
    if not names:
        return None
    tier, before = alerts["tier"].astype(object), alerts["previous_tier"].astype(object)
    status = alerts["status"].astype(object)
    rows = []
    for name in names:
        here = tier == name
        came = [int((here & (status == each)).sum()) for each in ("new", "upgraded", "lowered")]
        over = int(((status == "resolved") & (before == name)).sum())
        rows.append((name, *map(count, (int(here.sum()), *came, over))))
    keys = ("tier", "now", "new", "upgraded", "lowered", "resolved")
    headings = tuple(words.say(f"changes.{key}") for key in keys)
    return Plain(words.say("changes.table"), headings, (False, *[True] * 5), tuple(rows))


def _over(words: _Words, alerts: pd.DataFrame) -> str:
    sizes = alerts.loc[alerts["status"] == "resolved", "resolved_by"].astype(object).value_counts()
    items = [words.say(f"changes.{why}", n=count(sizes[why])) for why in ("activity", "churn", "state") if why in sizes]
    return words.say("changes.over", items=", ".join(items)) if items else ""


def _notes(words: _Words, facts: Mapping[str, Any], *, value: bool) -> list[str]:
    level = f"{100 * float(facts.get('level') or 0.95):g}%"
    said = [words.say("notes.risk", level=level)]
    said += [words.say("notes.value")] if value else []
    if any(exists(each["break_even"]) for each in facts.get("costs") or ()):
        said.append(words.say("notes.break_even"))
    return [*said, *(str(note) for note in facts.get("notes") or ())]


def _file(name: str) -> str:
    return resources.files("churnsurv.report").joinpath("templates", name).read_text(encoding="utf-8")
