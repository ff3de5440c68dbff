"""Whether a campaign can be read as an experiment, looked at before its lift is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc

from churnsurv.data.assigned import CampaignRows
from churnsurv.errors import InputError, did_you_mean
from churnsurv.notes import Note, note
from churnsurv.numerics.arm_balance import ArmBalance, arm_balance
from churnsurv.recall.lift_check_words import contacted_words, ratio_words, weeks_words
from churnsurv.recall.lift_overlaps import overlap_checks
from churnsurv.recall.lift_time_zero import time_zero_checks
from churnsurv.recall.lift_verdicts import Check, verdict
from churnsurv.tables import schema
from churnsurv.tables.said import said_covariate, said_list, said_name

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["balance", "checks", "contact_checks"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

#: Outcomes of the days before the assignment, on which no arm can have had an effect.
_BEFORE = ("pre_active_days", "pre_invested")
#: A control that was contacted more than this has no lift to speak of left.
_MOST_CONTACTED = 0.05
_WEEK = 7
_FEWEST_EXPECTED = 5.0


def checks(rows: CampaignRows, *, control: str, shares: Mapping[str, float] | None = None) -> pd.DataFrame:
    """Look for what would make the arms of campaigns incomparable; schema "lift_checks".

    Parameters
    ----------
    rows : CampaignRows
    control : str
        Name of the arm that others are compared with.
    shares : Mapping of str to float, optional
        The planned share of each arm, as numbers of any scale. Without it, and without a propensity, nobody knows what
        was planned, and the counts alone are shown.

    Returns
    -------
    DataFrame
        One row a check, in the order of campaigns: sample ratio, share over time, left out, follow-up, balance, A/A
        before, contamination, immortal time, overlaps; those whose columns are not there are left out. The verdict is
        broken from p < 0.001 down, look from p < 0.01 down: with nothing wrong a check says look in 1 of 100 campaigns.

    Raises
    ------
    InputError
        If a campaign has no such control, `shares` does not name its arms, or an arm holds only users whose treatment
        was decided after their assignment (immortal time).

    Examples
    --------
    >>> import pandas as pd
    >>> from churnsurv.data import ActivityLog
    >>> from churnsurv.data.assigned import campaign_rows
    >>> users = pd.DataFrame({"user_id": range(1000), "registered_at": "2024-01-01"})
    >>> events = pd.DataFrame({"user_id": range(0, 1000, 7), "event_at": "2024-03-03", "kind": "login"})
    >>> sent = pd.DataFrame({"user_id": range(1000), "campaign": "spring", "assigned_at": "2024-03-01"})
    >>> sent["arm"] = ["holdout" if user % 10 < 4 else "sms" for user in sent["user_id"]]
    >>> rows = campaign_rows(ActivityLog(events, users, observed_until="2024-03-20"), sent, horizon=7)
    >>> checks(rows, control="holdout", shares={"holdout": 1, "sms": 1}).loc[0, ["check", "n", "expected", "verdict"]]
    check       sample ratio
    n                  400.0
    expected           500.0
    verdict           broken
    Name: 0, dtype: object
    """
    import pandas as pd

    found: list[Check] = []
    for campaign in _campaigns(rows, control):
        compared = _compared(campaign)
        found += _sample_ratio(campaign, shares)
        found += _share_over_time(campaign)
        found += _left_out(campaign)
        found.append(_follow_up(campaign))
        if compared is not None:
            found += [_joint(campaign, compared), *_before(campaign, compared)]
        found += _contamination(campaign)
        found += time_zero_checks(campaign.rows, campaign.name, campaign.control)
    found += overlap_checks(rows)
    names = list(rows.campaigns)
    found.sort(key=lambda check: names.index(check.campaign))
    # as objects, so that notes stay what they are
    table = pd.DataFrame([check.row() for check in found], columns=list(schema("lift_checks").names), dtype=object)
    return table.astype({"n": "float64", "expected": "float64", "statistic": "float64", "p_value": "float64"})


def contact_checks(rows: CampaignRows, *, control: str) -> list[Check]:
    """Of campaigns whose arms nobody drew: whether the control was contacted, and treatments began when users did.

    Parameters
    ----------
    rows : CampaignRows
    control : str

    Returns
    -------
    list of Check
        "contamination" and "immortal time"; none where no deliveries were given.

    Raises
    ------
    InputError
        If a campaign has no such control, or an arm holds only users whose treatment was decided after their
        assignment.
    """
    found: list[Check] = []
    for campaign in _campaigns(rows, control):
        found += _contamination(campaign, drawn=False)
        found += time_zero_checks(campaign.rows, campaign.name, campaign.control, drawn=False)
    return found


def balance(rows: CampaignRows, *, control: str) -> pd.DataFrame:
    """Compare what was known of the users of each arm with those of the control; schema "lift_balance".

    Parameters
    ----------
    rows : CampaignRows
    control : str

    Returns
    -------
    DataFrame
        One row for each campaign, arm and variable of ``rows.pre``. Differences of 0.1 standard deviations and more are
        worth a look, whatever their p-value.

    Examples
    --------
    >>> import pandas as pd
    >>> from churnsurv.data import ActivityLog
    >>> from churnsurv.data.assigned import campaign_rows
    >>> users = pd.DataFrame({"user_id": range(4), "registered_at": ["2024-01-01", "2024-02-01"] * 2})
    >>> events = pd.DataFrame({"user_id": [0], "event_at": "2024-03-03", "kind": "login"})
    >>> sent = pd.DataFrame({"user_id": range(4), "campaign": "c", "assigned_at": "2024-03-01"})
    >>> sent["arm"] = ["a", "a", "b", "b"]
    >>> rows = campaign_rows(ActivityLog(events, users, observed_until="2024-03-20"), sent, horizon=7)
    >>> balance(rows, control="a").query("variable == 'tenure'")[["arm_mean", "control_mean", "difference"]]
       arm_mean  control_mean  difference
    4      44.5          44.5         0.0
    """
    import pandas as pd

    parts = []
    for campaign in _campaigns(rows, control):
        found, names = _compared(campaign), list(campaign.rows.pre)
        if found is None:
            continue
        for place, arm in enumerate(found.arms):
            spread = np.where(found.spread > 0, found.spread, np.nan)
            # a variable that is the same for everybody differs by nothing
            gap = np.where(found.spread > 0, found.difference[place] / spread, 0.0)
            parts.append(
                pd.DataFrame(
                    {
                        "campaign": campaign.name,
                        "arm": campaign.rows.arms[arm],
                        "variable": names,
                        "arm_mean": found.mean[arm],
                        "control_mean": found.mean[campaign.control],
                        "difference": gap,
                        "p_value": found.p_value[place],
                    }
                )
            )
    names = list(schema("lift_balance").names)
    return pd.concat(parts, ignore_index=True)[names] if parts else pd.DataFrame(columns=names)


@dataclass(frozen=True, slots=True, eq=False)
class _Campaign:
    """One campaign, and its units: rows, or clusters where whole clusters were assigned.

    Attributes
    ----------
    unit : (n,) int64, or None
        The unit of each row; None where each row is one.
    arm, stratum, day : (n_units,) int64
    """

    name: str
    rows: CampaignRows
    control: int
    unit: Ints | None
    arm: Ints
    stratum: Ints
    day: Ints

    def by_unit(self, values: NDArray[Any]) -> Floats:
        """The mean over the rows of each unit."""
        if self.unit is None:
            return np.asarray(values, dtype=np.float64)
        return np.asarray(np.bincount(self.unit, values) / np.bincount(self.unit))

    def counted(self, number: str) -> Note:
        """So many of what is counted."""
        return note("{n} users", n=number) if self.unit is None else note("{n} clusters", n=number)

    def counts(self) -> Ints:
        """Units by arm."""
        return np.bincount(self.arm, minlength=len(self.rows.arms))


def _campaigns(rows: CampaignRows, control: str) -> Iterator[_Campaign]:
    for name in rows.campaigns:
        mine = rows.only(name)
        if control not in mine.arms:
            raise InputError(
                f"control: campaign {name!r} has no arm {control!r}.{did_you_mean(control, mine.arms)} Its arms: "
                f"{', '.join(map(repr, mine.arms))}."
            )
        day = mine.assigned_day.astype("datetime64[D]").astype(np.int64)
        unit = _units(mine)
        columns = (mine.arm, mine.stratum, day)
        if unit is not None:
            first = np.unique(unit, return_index=True)[1]
            columns = (mine.arm[first], mine.stratum[first], day[first])
        yield _Campaign(name, mine, mine.arms.index(control), unit, *columns)


def _units(rows: CampaignRows) -> Ints | None:
    """Whole clusters, where each is in one arm and one stratum and some have several rows."""
    if "cluster" not in rows.given:
        return None
    _, unit = np.unique(rows.cluster, return_inverse=True)
    n = int(unit.max()) + 1
    if n == unit.size:
        return None
    pairs = np.unique(np.column_stack([unit, rows.arm, rows.stratum]), axis=0)
    return unit.astype(np.int64) if pairs.shape[0] == n else None


# ------------------------------------------------------------------------------------------------------ the draw


def _sample_ratio(campaign: _Campaign, shares: Mapping[str, float] | None) -> list[Check]:
    rows, counts = campaign.rows, campaign.counts()
    if shares is not None:
        return [_against_shares(campaign, counts, _planned(rows, campaign.name, shares))]
    if rows.propensity is None:
        found = said_list(f"{arm} {n:,}" for arm, n in zip(rows.arms, counts, strict=True))
        told = note("{arms} users", arms=found) if campaign.unit is None else note("{arms} clusters", arms=found)
        words = note("{found}. Nobody said what was planned: give shares= to have it tested.", found=told)
        return [Check("sample ratio", campaign.name, None, float(counts.sum()), words=words)]
    # The inverse chances of those in an arm add up to all users, whatever the chances depend on.
    share = campaign.by_unit(rows.propensity)
    total = campaign.arm.size
    weight = np.bincount(campaign.arm, 1 / share, len(rows.arms))
    variance = np.bincount(campaign.arm, (1 - share) / share**2, len(rows.arms))
    statistic = (weight - total) ** 2 / variance
    p = np.minimum(chdtrc(1, statistic) * len(rows.arms), 1.0)
    checks_ = []
    for arm, name in enumerate(rows.arms):
        found = note(
            "{found} by inverse propensity, {total} assigned",
            found=campaign.counted(f"{weight[arm]:,.0f}"),
            total=f"{total:,}",
        )
        words = ratio_words(found, p[arm])
        checks_.append(
            Check("sample ratio", campaign.name, name, weight[arm], total, statistic[arm], float(p[arm]), words)
        )
    return checks_


def _planned(rows: CampaignRows, name: str, shares: Mapping[str, float]) -> Floats:
    unknown = [arm for arm in rows.arms if arm not in shares]
    if unknown:
        raise InputError(
            f"shares: arm {unknown[0]!r} of campaign {name!r} is not among them."
            f"{did_you_mean(unknown[0], shares)} Give the planned share of every arm."
        )
    planned = np.array([float(shares[arm]) for arm in rows.arms])
    if not (np.isfinite(planned).all() and (planned > 0).all()):
        raise InputError(f"shares are numbers above 0; they are {dict(shares)!r}. Leave out arms that nobody was in.")
    # arms of other campaigns, and arms that got nobody, have a share too; this campaign's add up to all of it
    return np.asarray(planned / planned.sum())


def _against_shares(campaign: _Campaign, counts: Ints, planned: Floats) -> Check:
    expected = planned * counts.sum()
    statistic = float(((counts - expected) ** 2 / expected).sum())
    p = float(chdtrc(counts.size - 1, statistic))
    control = campaign.control
    found = note(
        "{n} of {total} are in {arm}, {planned} were planned",
        n=f"{counts[control]:,}",
        total=campaign.counted(f"{counts.sum():,}"),
        arm=said_name(campaign.rows.arms[control]),
        planned=f"{expected[control]:,.0f}",
    )
    words = ratio_words(found, p)
    name = campaign.rows.arms[control]
    return Check("sample ratio", campaign.name, name, counts[control], expected[control], statistic, p, words)


def _share_over_time(campaign: _Campaign) -> list[Check]:
    """Whether the shares of the arms changed in the course of the assignments, within strata."""
    week = (campaign.day - campaign.day.min()) // _WEEK
    n_arms, n_weeks = len(campaign.rows.arms), int(week.max()) + 1
    code = (campaign.stratum * n_weeks + week) * n_arms + campaign.arm
    counts = np.bincount(code, minlength=len(campaign.rows.strata) * n_weeks * n_arms).reshape(-1, n_weeks, n_arms)
    statistic, df = 0.0, 0
    low, high = 1.0, 0.0
    for stratum in counts:
        table = _merged(stratum)
        value, degrees = _chi_square(table)
        statistic, df = statistic + value, df + degrees
        if degrees:
            share = table[:, campaign.control] / table.sum(axis=1)
            low, high = min(low, float(share.min())), max(high, float(share.max()))
    if df == 0:
        return []
    p = float(chdtrc(df, statistic))
    name = campaign.rows.arms[campaign.control]
    words = weeks_words(name, low, high, p)
    # weeks within strata are comparable; without them the arms are those of different weeks
    told = "look" if verdict(p) == "broken" else None
    return [Check("share over time", campaign.name, None, high, low, statistic, p, words, told)]


def _merged(table: Ints) -> Ints:
    """Weeks by arm, neighbouring ones together until at least five users are expected in every cell."""
    n_arms = table.shape[1]
    share = table.sum(axis=0) / max(int(table.sum()), 1)
    if not (share > 0).sum() > 1:
        return table[:0]
    needed = _FEWEST_EXPECTED / share[share > 0].min()
    parts: list[Ints] = []
    running = np.zeros(n_arms, dtype=np.int64)
    for row in table:
        running = running + row
        if running.sum() >= needed:
            parts.append(running)
            running = np.zeros(n_arms, dtype=np.int64)
    if parts:
        parts[-1] = parts[-1] + running
    return np.array(parts).reshape(-1, n_arms)


def _chi_square(table: Ints) -> tuple[float, int]:
    """Pearson's statistic of independence of rows and columns, and its degrees of freedom."""
    table = table[table.sum(axis=1) > 0]
    table = table[:, table.sum(axis=0) > 0].astype(np.float64)
    if min(table.shape) < 2:
        return 0.0, 0
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    return float(((table - expected) ** 2 / expected).sum()), (table.shape[0] - 1) * (table.shape[1] - 1)


# --------------------------------------------------------------------------------------------- after the draw


def _left_out(campaign: _Campaign) -> list[Check]:
    """Whether rows that can't be used are as frequent in all arms."""
    listed = campaign.rows.problems
    mine = listed[(listed["table"] == "assignments") & (listed["campaign"] == campaign.name)]
    lost = np.array([int((mine["arm"] == arm).sum()) for arm in campaign.rows.arms])
    if lost.sum() == 0:
        return []
    kept = np.bincount(campaign.rows.arm, minlength=lost.size)
    statistic, df = _chi_square(np.stack([lost, kept]))
    p = float(chdtrc(df, statistic)) if df else 1.0
    shares = said_list(
        f"{arm} {n / (n + other):.1%}" for arm, n, other in zip(campaign.rows.arms, lost, kept, strict=True)
    )
    words = note("Left out: {shares} of the rows.", shares=shares)
    if verdict(p) != "fine":
        words = note(
            "{said} An arm lost more than the others: who is left is no longer drawn at random. See .problems.",
            said=words,
        )
    return [Check("left out", campaign.name, None, float(lost.sum()), None, statistic, p, words)]


def _follow_up(campaign: _Campaign) -> Check:
    rows = campaign.rows
    to_end = campaign.by_unit(rows.followed >= rows.horizon)
    found = arm_balance([to_end, campaign.by_unit(np.minimum(rows.followed, rows.horizon))], campaign.arm,
                        campaign.stratum, control=campaign.control)  # fmt: skip
    share = said_list(f"{arm} {found.mean[place, 0]:.1%}" for place, arm in enumerate(rows.arms))
    words = note("Followed for {days} days: {shares}.", days=rows.horizon, shares=share)
    told = None
    if verdict(found.joint_p_value) != "fine":
        told = "look"
        words = note(
            "{said} The arms were assigned at different times, so that days after the assignment are those of other "
            "weeks in one arm than in the other: name the week of assignment in strata=.",
            said=words,
        )
    at, control = found.arms[0], campaign.control
    return Check(
        "follow-up", campaign.name, None, found.mean[at, 0], found.mean[control, 0], found.statistic,
        found.joint_p_value, words, told,
    )  # fmt: skip


def _compared(campaign: _Campaign) -> ArmBalance | None:
    columns = [campaign.by_unit(values) for values in campaign.rows.pre.values()]
    if not columns:
        return None
    return arm_balance(columns, campaign.arm, campaign.stratum, control=campaign.control)


def _joint(campaign: _Campaign, found: ArmBalance) -> Check:
    names = list(campaign.rows.pre)
    spread = np.where(found.spread > 0, found.spread, np.inf)
    gaps = found.difference / spread
    place, variable = np.unravel_index(int(np.abs(gaps).argmax()), gaps.shape)
    arm = campaign.rows.arms[found.arms[int(place)]]
    words = note(
        "Largest difference: {name} in {arm}, {difference} standard deviations.",
        name=said_covariate(names[int(variable)]),
        arm=said_name(arm),
        difference=f"{gaps[place, variable]:+.3f}",
    )
    if verdict(found.joint_p_value) != "fine":
        words = note(
            "{said} Arms drawn at random do not differ so much in what was known before. Where their shares changed "
            "over time, name the week in strata=; where something chose the users of an arm, use "
            "design='observational'.",
            said=words,
        )
    return Check(
        "balance", campaign.name, None, float(np.abs(gaps[place, variable])), 0.0, found.statistic,
        found.joint_p_value, words,
    )  # fmt: skip


def _before(campaign: _Campaign, found: ArmBalance) -> list[Check]:
    """The outcomes of the 30 days before, of each arm: an effect on them is none of the campaign."""
    names = list(campaign.rows.pre)
    columns = [names.index(each) for each in _BEFORE if each in names and found.spread[names.index(each)] > 0]
    made = []
    for place, arm in enumerate(found.arms):
        if not columns:
            continue
        p = found.p_value[place, columns]
        least = columns[int(np.argmin(p))]
        adjusted = float(min(p.min() * len(columns), 1.0))
        mean, other = found.mean[arm, least], found.mean[campaign.control, least]
        z = float(found.difference[place, least] / found.std_error[place, least])
        before = note(
            "{name}, a user: {mean} in {arm}, {other} in the control, before anybody was contacted",
            name=said_covariate(names[least]),
            mean=f"{mean:.4g}",
            arm=said_name(campaign.rows.arms[arm]),
            other=f"{other:.4g}",
        )
        if verdict(adjusted) == "fine":
            words = note("{before}: no effect, as there can be none.", before=before)
        else:
            words = note("{before}. A lift of this kind is there without the campaign.", before=before)
        made.append(Check("A/A before", campaign.name, campaign.rows.arms[arm], mean, other, z**2, adjusted, words))
    return made


def _contamination(campaign: _Campaign, *, drawn: bool = True) -> list[Check]:
    rows = campaign.rows
    known: Sequence[tuple[str, Ints]] = (
        ("delivered_at", rows.delivered),
        ("opened_at", rows.opened),
        ("second_contact_at", rows.second),
    )
    there = [(name, days > 0) for name, days in known if name in rows.given]
    if not there:
        return []
    control = rows.arm == campaign.control
    touched = np.logical_or.reduce([mask for _, mask in there]) & control
    n, total = int(touched.sum()), int(control.sum())
    name = rows.arms[campaign.control]
    if n == 0:
        words = note("Nobody in {arm} was contacted.", arm=said_name(name))
        return [Check("contamination", campaign.name, name, 0.0, 0.0, words=words)]
    ways = {way: int((mask & control).sum()) for way, mask in there}
    words = contacted_words(name, n, total, ways, drawn=drawn)
    told = "broken" if n / total >= _MOST_CONTACTED else "look"
    return [Check("contamination", campaign.name, name, float(n), 0.0, words=words, told=told)]
