"""The operators' page: what it says, that text stays text, and that it needs nothing else."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pandas as pd
import pytest

from churnsurv.action.plan_words import ACTIONS
from churnsurv.action.plan_words import REASONS as PLAN_REASONS
from churnsurv.errors import InputError
from churnsurv.report.operators import _ACTIONS, operators_page
from churnsurv.report.operators_words import REASONS
from churnsurv.tables import schema

HOSTILE = "<script>alert(1)</script>"
FACTS = {"as_of": "2025-05-01", "contact_on": "2025-05-02", "tiers": ("high", "low"), "rule": "30 days", "level": 0.95}


def alerts_of(n: int = 3, *, margin: bool = True) -> pd.DataFrame:
    """Users in tiers, the first of them hostile, and one whose alert is over."""
    day = pd.Timestamp("2025-05-01")
    users = [HOSTILE, *(f"u{place}" for place in range(1, n))]
    rows = pd.DataFrame({"user_id": [*users, "gone"], "date": day}, columns=schema("alerts").names)
    living = rows.index < n
    rows["status"] = np.where(living, "new", "resolved")
    rows.loc[living & (rows.index == 1), "status"] = "upgraded"
    rows.loc[1, "previous_tier"] = "low"
    rows.loc[n, ["previous_tier", "resolved_by"]] = ["low", "activity"]
    rows["tier"] = [("high" if place < 2 else "low") if place < n else None for place in rows.index]
    rows["since"] = rows["tier_since"] = day
    rows["idle_days"], rows["days_left"] = 20 + rows.index, 10 - rows.index
    rows["churn_date"] = day + pd.to_timedelta(rows["days_left"], unit="D")
    rows["risk"] = np.where(living, 0.9 - 0.001 * rows.index, np.nan)
    rows["risk_lower"], rows["risk_upper"] = rows["risk"] - 0.1, rows["risk"] + 0.05
    rows["fired"] = ["idle_days > 15 and balance < 100" if place < n else None for place in rows.index]
    rows["held"], rows["weighs"] = rows.index == 2, "idle_days"
    worth = 1000.0 if margin else np.nan
    rows["margin"], rows["value_at_risk"] = worth, worth * rows["risk"]
    rows["value_lower"], rows["value_upper"] = worth * rows["risk_lower"], worth * rows["risk_upper"]
    return rows


def plan_of(alerts: pd.DataFrame) -> pd.DataFrame:
    plan = pd.DataFrame({"user_id": alerts["user_id"]}, columns=schema("plan").names)
    plan["action"] = ["contact", "hold out", *["wait"] * (len(plan) - 3), "close"]
    plan["reason"] = ["rose", "held_out", *["not_due"] * (len(plan) - 3), "returned"]
    plan["words"] = plan["reason"] + " in words"
    first = ["channel", "offer", "message", "send_from", "send_until"]
    plan.loc[0, first] = ["sms", "<b>gift</b>", "50 & more", "2025-05-02 09:00", "2025-05-02 21:00"]
    plan.loc[0, ["reward", "reward_condition"]] = [100.0, 1000.0]
    plan["escalated"] = plan["action"] == "contact"
    return plan


COSTS = [
    {"channel": "sms", "offer": "<b>gift</b>", "n": 1, "contact_cost": 0.08, "promised": 100.0, "break_even": 1.5},
    {"channel": "(all)", "offer": None, "n": 1, "contact_cost": 0.08, "promised": 100.0, "break_even": 1.5},
]


class Read(HTMLParser):
    """Tags, their attributes, and the text of the page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.said: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.said.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.said).split())


@pytest.fixture(scope="module")
def page() -> str:
    alerts = alerts_of()
    facts = FACTS | {"campaign": "spring", "costs": COSTS, "notes": ["<i>note</i>"], "version": "1"}
    return operators_page(alerts, plan_of(alerts), facts=facts)


def test_it_says_what_to_do_and_why(page: str) -> None:
    text = Read(page).text
    assert "Churn warning for 2 May 2025, data of 1 May 2025" in text
    assert "Contacts go out on 2 May 2025, 09:00 to 21:00 local time, campaign spring." in text
    assert "1 to contact on 2 May 2025 3 users in a warning tier 2 of them new since the day before" in text
    assert "2,697 value at risk" in text  # 900 + 899 + 898; the user who is back is no longer at risk
    assert "All 3 alerts." in text
    assert "By sms Offer <b>gift</b> reward 100.00, when 1,000 is invested again Message 50 & more" in text
    assert "Why now rose in words escalated Tier high" in text
    assert text.index("Today's contacts") < text.index("The plan in numbers") < text.index("Everybody else")
    assert "What happens contact by sms rose in words" in text
    assert "Escalated: a step further" in text
    assert "Weighs most: what moves" in text
    assert "90.0% (80.0–95.0%)" in text
    assert "idle days > 15 and balance < 100 weighs most: idle days" in text
    assert "kept in the tier though just outside of it" in text
    assert "Why held out, so that the effect can be measured Users 1" in text
    assert "Please do not call them either" in text
    assert "Alerts that are over: 1 active again." in text
    assert "Contacts 1 Escalated 1 Cost 0.08 Newly promised 100.00 Break-even 1.50" in text


def test_text_of_users_is_never_markup(page: str) -> None:
    read = Read(page)
    assert [tag for tag, _ in read.tags].count("script") == 1
    assert not [tag for tag, _ in read.tags if tag in {"b", "i", "img", "iframe", "link", "object", "form"}]
    assert HOSTILE in read.text
    assert "<i>note</i>" in read.text


def test_it_needs_no_network_and_runs_no_script_but_its_own(page: str) -> None:
    read = Read(page)
    for _, attributes in read.tags:
        assert not {"src", "onclick", "onload", "style"} & set(attributes)
        assert str(attributes.get("href", "#")).startswith("#")
    policy = next(a["content"] for _, a in read.tags if a.get("http-equiv") == "Content-Security-Policy")
    script = page.partition("<script>")[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    assert "http" not in re.sub(r"http-equiv", "", page)


def test_every_column_can_be_sorted_by(page: str) -> None:
    table = page.partition('<table id="alerts-table"')[2].partition("</table>")[0]
    heads = table.count("<button")
    assert heads == table.count('role="columnheader"') == 10
    assert page.partition('<table id="contacts-table"')[2].partition("</table>")[0].count("<button") == 10
    assert table.count("data-key=") == 3 * heads
    # a tier is sorted by its rank, days and shares by their numbers
    keys = re.findall(r'data-key="([^"]*)" class="col-(tier|left|risk|what)', table)
    assert [key for key, of in keys if of == "tier"] == ["0", "0", "1"]
    assert [key for key, of in keys if of == "left"] == ["10", "9", "8"]
    assert [key for key, of in keys if of == "risk"] == ["0.9", "0.899", "0.898"]
    assert [key for key, of in keys if of == "what"] == ["0", "2", "1"]


def test_the_same_tables_give_the_same_page(page: str) -> None:
    alerts = alerts_of()
    facts = FACTS | {"campaign": "spring", "costs": COSTS, "notes": ["<i>note</i>"], "version": "1"}
    assert operators_page(alerts, plan_of(alerts), facts=facts) == page


def test_more_alerts_than_rows_are_counted() -> None:
    text = Read(operators_page(alerts_of(30), facts=FACTS, rows=5)).text
    assert "The 5 most urgent of 30 alerts; alerts.csv has all of them." in text
    assert "u4 " in text
    assert "u5 " not in text


def test_without_margin_and_plan_there_is_no_word_of_them() -> None:
    page = operators_page(alerts_of(margin=False), facts=FACTS)
    text = Read(page).text
    assert "No policy is set" in text
    assert "alue at risk" not in text
    assert "What happens" not in text
    assert "1 alerts over since the day before" in text


def test_a_dry_run_and_an_odd_day_stand_on_top() -> None:
    alerts = alerts_of()
    facts = FACTS | {"dry_run": True, "look": ["active users: 3 users <expected 5>."]}
    text = Read(operators_page(alerts, plan_of(alerts), facts=facts)).text
    assert text.index("nothing of it is to be sent") < text.index("Today's contacts")
    assert "active users: 3 users <expected 5>." in text


def test_an_open_alarm_of_the_monitor_stands_on_top_and_none_is_a_quiet_line() -> None:
    days = {"alarm_on": "2025-04-28", "begun": "2025-04-27", "begun_lower": "2025-04-26", "begun_upper": "2025-04-28"}
    sizes = {"ratio": 0.74, "lower": 0.65, "upper": 0.85, "missing": 26.4, "missing_lower": 15, "missing_upper": 35}
    parts = [{"split": "stage", "value": "<b>new</b>", "missing": 20.0, "share": 0.75}]
    one = {"group": HOSTILE, "members": [], **days, **sizes, "carriers": parts}
    told = {"by": "channel", "charts": 5, "judged": True, "level": 0.95, "false_alarms": 1.0}
    told |= {"left_out": [], "unjudged": [], "partly": []}

    def shown(*alarms: dict[str, Any], **more: Any) -> str:
        monitor = told | {"alarms": list(alarms), "reason": None} | more
        return operators_page(alerts_of(), facts=FACTS | {"monitor": monitor})

    page = shown(one, one | {"group": "(all)", "carriers": []}, left_out=["2025-04-20"])
    read = Read(page)
    assert read.text.index("Fewer users return than expected") < read.text.index("Alerts All 3")
    assert (
        f"channel {HOSTILE}, since 27 Apr 2025 (26 Apr 2025 to 28 Apr 2025): about 26 returns missing (15–35). "
        "74.0% (65.0–85.0%) of those expected came. Missing by stage: <b>new</b> 20 (75.0%)." in read.text
    )
    assert "All other groups together, since 27 Apr 2025" in read.text
    assert "Not loaded in full, and not judged: 20 Apr 2025." in read.text
    assert [tag for tag, _ in read.tags].count("script") == 1
    assert "All users together, since" in Read(shown(one | {"group": "(all)"})).text
    quiet = Read(shown())
    assert "Returns: no alarm in 5 charts." in quiet.text
    assert "Fewer users return" not in quiet.text
    assert "Returns of this day are not judged" in Read(shown(judged=False)).text
    assert "No alarm is open from the days before, in 5 charts." in Read(shown(judged=False)).text
    assert "Returns: no alarm in 1 chart." in Read(shown(charts=1)).text
    assert "Returns of this day are not judged" in Read(shown(one, judged=False)).text
    dates = [f"2025-04-0{day}" for day in range(1, 8)]
    five = "1 Apr 2025, 2 Apr 2025, 3 Apr 2025, 4 Apr 2025, 5 Apr 2025 and 2 more."
    assert (
        f"Not judged, as holidays of a kind that the days learnt from lack: {five}" in Read(shown(unjudged=dates)).text
    )
    small = one | {"group": "(small)", "members": ["ads", "distribution", HOSTILE]}
    assert "channel ads, distribution and 1 more together, since" in Read(shown(small)).text
    assert "All users together, since" in Read(shown(small, charts=1)).text
    assert "Returns are not watched. Too short." in Read(shown(reason="Too short.")).text
    assert "Returns" not in Read(operators_page(alerts_of(), facts=FACTS)).text


def test_contacts_are_all_there_and_what_is_closed_stands_last() -> None:
    alerts = alerts_of(6)
    plan = plan_of(alerts)
    plan.loc[0, ["action", "reason"]] = ["close", "no_time"]
    plan.loc[4:5, "action"] = "contact"
    plan.loc[4:5, ["channel", "message"]] = ["push", "word " * 60]
    page = operators_page(alerts, plan, facts=FACTS | {"costs": [COSTS[1] | {"break_even": None}]}, rows=5)
    contacts = Read(page.partition('id="contacts-table"')[2].partition("</table>")[0]).text
    assert re.findall(r"User (u\d)", contacts) == ["u4", "u5"]
    assert "word " * 40 + "..." in contacts
    assert f'title="{"word " * 60}"' in page
    shown = Read(page.partition('id="alerts-table"')[2].partition("</table>")[0]).text
    assert re.findall(r"User (u\S+)", shown) == ["u1", "u2", "u3", "u4", "u5"]
    everything = Read(operators_page(alerts, plan, facts=FACTS)).text
    assert everything.index("User u5") < everything.index(f"User {HOSTILE}", everything.index("Alerts All"))
    assert "no contact left" in everything
    assert "closed" not in everything
    assert "Break-even" not in everything
    assert "The 1 most urgent of 2 contacts" in Read(operators_page(alerts, plan, facts=FACTS, rows=1)).text


def test_nobody_in_a_tier() -> None:
    nobody = alerts_of().iloc[:0]
    text = Read(operators_page(nobody, plan_of(alerts_of()).iloc[:0], facts=FACTS)).text
    assert "Nobody is to be contacted." in text
    assert "Nobody is in a warning tier." in text


def test_every_action_and_reason_of_a_plan_has_words() -> None:
    assert set(REASONS) == set(PLAN_REASONS)
    assert set(_ACTIONS) == set(ACTIONS)


def test_a_language_that_is_not_there() -> None:
    with pytest.raises(InputError, match="There is no report in the language 'xx'"):
        operators_page(alerts_of(), facts=FACTS, lang="xx")
