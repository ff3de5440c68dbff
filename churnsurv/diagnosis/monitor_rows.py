"""The tables of the monitor: days, alarms, who carries them, and charts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.diagnosis.monitor_charts import Asked, Charts
from churnsurv.diagnosis.monitor_groups import ALL
from churnsurv.diagnosis.monitor_series import Episode, Series
from churnsurv.numerics.change_begin import ratio_limits
from churnsurv.numerics.count_tails import tail_quantile
from churnsurv.numerics.cusum import days_to_alarm
from churnsurv.tables.said import said_list

__all__ = ["alarm_rows", "carrier_rows", "day_rows", "group_rows"]

Row: TypeAlias = Mapping[str, Any]
DayNumbers: TypeAlias = NDArray[np.datetime64]
_SIMULATED = 400


def day_rows(charts: Charts, days: DayNumbers, asked: Asked) -> list[Row]:
    """One row for each chart and day watched."""
    tail = (1 - asked.level) / 2
    rows: list[Row] = []
    for each in charts.series:
        watched = asked.first + np.flatnonzero(each.there[asked.first :])
        mean, variance = each.mean[watched], each.variance[watched]
        noise = each.white[watched] + each.slow[watched] + each.error[watched]
        extra = np.maximum((variance - mean) / np.maximum(mean, 1e-9) ** 2 + noise, 0.0)
        lower, upper = (tail_quantile(p, mean, extra) for p in (tail, 1 - tail))
        rows += [
            {
                "date": days[day],
                "group": each.name,
                "at_risk": int(each.at_risk[day]),
                "expected": float(mean[place]),
                "observed": int(each.observed[day]),
                "lower": float(lower[place]),
                "upper": float(upper[place]),
                "ratio": float(each.observed[day] / mean[place]) if mean[place] > 0 else float("nan"),
                "cusum": float(each.score[day]),
                "limit": float(each.limit[day]),
                "alarm": bool(each.alarm[day]),
                "judged": bool(each.judged[day]),
            }
            for place, day in enumerate(watched.tolist())
        ]
    return rows


def _told(charts: Charts, asked: Asked) -> Iterator[tuple[Series, Episode]]:
    """The alarms that were open on days told, in the order of their days; of one day those of groups first."""
    found = [
        (episode.alarm, place, each, episode)
        for place, each in enumerate(charts.series)
        for episode in each.episodes
        if episode.end is None or episode.end > asked.first
    ]
    for _, _, each, episode in sorted(found, key=lambda row: row[:2]):
        yield each, episode


def alarm_rows(charts: Charts, days: DayNumbers, asked: Asked) -> list[Row]:
    """One row for each alarm."""
    rows: list[Row] = []
    for each, episode in _told(charts, asked):
        begin, stop = episode.begin, days.size if episode.end is None else episode.end
        missing, missing_lower, missing_upper = each.missing(episode, stop, asked.level)
        rows.append(
            {
                "group": each.name,
                "alarm_on": days[episode.alarm],
                "ended_on": None if episode.end is None else days[episode.end],
                "begun": days[episode.begun],
                "begun_lower": days[episode.first + begin.earliest],
                "begun_upper": days[episode.first + begin.latest],
                "days_to_alarm": episode.alarm - episode.begun + 1,
                "ratio": begin.ratio,
                "lower": begin.lower,
                "upper": begin.upper,
                "missing": missing,
                "missing_lower": missing_lower,
                "missing_upper": missing_upper,
                **_after(each, np.arange(episode.alarm + 1, stop), asked.level),
            }
        )
    return rows


def _after(each: Series, days: NDArray[np.int64], level: float) -> Row:
    """How large the drop is on the days after the alarm, which were not chosen by what happened on them."""
    days = days[each.judged[days]] if days.size else days
    mean = float(each.counted[1, days].sum())
    names = ("after_ratio", "after_lower", "after_upper")
    if not mean:
        return {"after_days": 0} | dict.fromkeys(names, float("nan"))
    phi = float(each.phi(slice(int(days[0]), int(days[-1]) + 1)).mean())
    limits = ratio_limits(
        float(each.counted[0, days].sum()), mean, phi=phi, level_error=float(each.error[days].mean()), level=level
    )
    return {"after_days": int(days.size)} | dict(zip(names, limits, strict=True))


def carrier_rows(charts: Charts, days: DayNumbers, asked: Asked, *, by: str | None, stage: str | None) -> list[Row]:
    """Which groups and stages the missing returns of each alarm belong to, since the change began."""
    rows: list[Row] = []
    history = charts.history
    for each, episode in _told(charts, asked):
        whole = by is not None and each.name == ALL
        span = np.arange(episode.begun, days.size if episode.end is None else episode.end)
        span = span[each.judged[span]]
        names = np.array([*history.names, ""], dtype=object)[history.member[:, span]]
        if whole:
            looked_at = np.stack([charts.part(name).looked_at[span] for name in history.names])
            inside = (history.member[:, span] >= 0) & looked_at[history.member[:, span], np.arange(span.size)]
        else:
            inside = names == each.name
        splits = {by: names} if by is not None and whole else {}
        if stage is not None:
            splits[stage] = np.broadcast_to(history.rows.stage[:, None], names.shape)
        for split, values in splits.items():
            known = values.astype(object)
            known[~inside] = None
            rows += _carried(each, charts, days[episode.alarm], split, known, span, asked.level)
    return rows


def _carried(
    each: Series,
    charts: Charts,
    alarm_on: np.datetime64,
    split: str,
    values: NDArray[np.object_],
    span: NDArray[np.int64],
    level: float,
) -> list[Row]:
    """Rows of one way to split an alarm, the largest part of what is missing first; `values` by row and day."""
    found: list[dict[str, Any]] = []
    phi, history = (float(each.phi(span).mean()) if span.size else 1.0), charts.history
    for value in sorted(set(values.ravel().tolist()) - {None}):
        mine = values == value
        observed = float(history.rows.returns[:, span][mine].sum())
        expected = float(history.by_row[:, span][mine].sum())
        if expected <= 0:
            continue
        share = expected / max(float(each.counted[1, span].sum()), 1e-9)
        # Noise that all parts share grows with a part; chance does not.
        own = 1 + max(phi - 1, 0.0) * min(share, 1.0)
        ratio, lower, upper = ratio_limits(
            observed, expected, phi=own, level_error=float(each.error[span].mean()), level=level
        )
        found.append(
            {
                "group": each.name, "alarm_on": alarm_on, "split": split, "value": value, "expected": expected,
                "observed": int(observed), "missing": expected - observed, "ratio": ratio, "lower": lower,
                "upper": upper,
            }
        )  # fmt: skip
    total = sum(row["missing"] for row in found)
    for row in found:
        row["share"] = row["missing"] / total if total > 0 else float("nan")
    return sorted(found, key=lambda row: -row["missing"])


def group_rows(charts: Charts, asked: Asked) -> list[Row]:
    """One row for each chart: its size, its noise, its limit, and how soon it finds the smallest drop."""
    pooled = {each.group.name: each.group.pooled for each in charts.learners}
    users = charts.history.rows.users[:, asked.first :]
    rows: list[Row] = []
    for place, each in enumerate(charts.series[: charts.current]):
        law = each.law
        assert law is not None  # noqa: S101
        rng = np.random.default_rng([asked.seed, 1_000_000, place])
        limit = float(each.limit[-1])
        days = days_to_alarm(law, ratio=asked.ratio, limit=limit, rng=rng, n_years=_SIMULATED)
        half, most = (float(np.quantile(days, q, method="higher")) for q in (0.5, 0.9))
        variance = law.variance + law.noise.mean.of_a_day() * law.mean**2
        rows.append(
            {
                "group": each.name,
                "pooled": said_list(charts.there(pooled.get(each.name, ()))) or None,
                "at_risk": float(users[charts.rows_of(each.name)].sum() / users.shape[1]),
                "returns": float(law.mean.mean()),
                "dispersion": float(variance.sum() / law.variance.sum()) if law.variance.any() else float("nan"),
                "lasting": law.noise.mean.rho if law.noise.lasts else 0.0,
                "limit": limit,
                "false_alarms": asked.allowed(charts.current),
                "half_found": half if np.isfinite(half) else float("nan"),
                "most_found": most if np.isfinite(most) else float("nan"),
                "four_days": float((days <= 4).mean()),
            }
        )
    return rows
