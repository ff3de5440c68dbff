"""Backtests: figures walked gap by gap and day by day in plain Python, an answer by hand, no look ahead, bad input."""

from __future__ import annotations

import dataclasses
import datetime
import json
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import churnsurv as ch
from churnsurv.errors import InputError
from churnsurv.tables import schema
from churnsurv.warning import Condition, Precision, Rule, Saving, Value, fit_tiers
from churnsurv.warning.backtest import backtest
from churnsurv.warning.backtest_origin import EVERYBODY, FITTED, MOST_ACCURATE, NOBODY

from .small import log_of

IDLE = 30
SAVES = Saving.plateau(top=0.3, middle=20, width=3)
WORTH = Value(saved_value=100, contact_cost=5, saving=SAVES)
THREE = {"high": Precision(target=0.6), "medium": WORTH, "low": Precision(target=0.3)}
SPEC = {"objective": THREE, "missing": {"balance": 0}}
FIXED = "idle_days > 15 and balance < 100"
DAY = datetime.timedelta(days=1)


def rule(*alternatives: str) -> Rule:
    """From text such as "idle_days > 3 and balance < 5"."""
    return Rule(
        tuple(
            tuple(Condition(v, s, float(t)) for v, s, t in (part.split() for part in text.split(" and ")))
            for text in alternatives
        )
    )


ODD = rule("idle_days > 3 and idle_days <= 12 and balance > 100", "idle_days >= 9 and n_investments <= 2")


@pytest.fixture(scope="module")
def app():
    return ch.simulate_app(300, seed=5)


@pytest.fixture(scope="module")
def judged(app):
    return backtest(app.log, spec=SPEC, origins=2, test_days=60, capacity=3, rules={"odd": ODD})


# ------------------------------------------------------------------------------------------- an oracle, day by day


def tier_on(rules: list[Rule], state: dict[str, float], day: int) -> int | None:
    """The highest tier that holds on an idle day."""
    for place, each in enumerate(rules):
        for conditions in each.alternatives:
            values = [(state | {"idle_days": float(day)})[c.variable] for c in conditions]
            tests = [
                {"<": v < c.threshold, ">=": v >= c.threshold, ">": v > c.threshold, "<=": v <= c.threshold}[c.sign]
                for v, c in zip(values, conditions, strict=True)
            ]
            if all(tests):
                return place
    return None


class Walked:
    """Totals of one policy or tier, added up day by day, by user."""

    def __init__(self, wanted: set[int], worth: Value | None = None) -> None:
        self.wanted, self.worth = wanted, worth
        self.users: dict[object, dict[str, float]] = {}

    def gap(self, user: object, tiers: list[int | None], duration: int, *, churned: bool) -> None:
        """One gap, with the tier of its user on each idle day."""
        mine = self.users.setdefault(
            user, dict.fromkeys(("n", "y", "alerts", "right", "lead", "value", "rows", "hit"), 0.0)
        )
        mine["n"] += 1
        mine["y"] += churned
        alerted = False
        for day in range(IDLE):
            if duration <= day or tiers[day] not in self.wanted:
                continue
            mine["rows"] += 1
            mine["hit"] += churned
            if day > 0 and not alerted:
                alerted = True
                mine["alerts"] += 1
                mine["right"] += churned
                mine["lead"] += churned * (IDLE - day)
                if self.worth is not None:
                    mine["value"] += (
                        churned * self.worth.saved_value * float(self.worth.saving.at(day)) - self.worth.contact_cost
                    )

    def column(self, name: str) -> np.ndarray:
        return np.array([each[name] for each in self.users.values()])

    def ratio(self, y: str, x: str) -> tuple[float, float, int]:
        """Ratio of sums with the standard error that takes users as independent."""
        top, below = self.column(y), self.column(x)
        if below.sum() == 0:
            return math.nan, math.nan, 0
        share, g = top.sum() / below.sum(), int((below > 0).sum())
        return share, math.sqrt(g / (g - 1) * ((top - share * below) ** 2).sum()) / below.sum(), g


def gaps_of(log: ch.ActivityLog, origin: datetime.date, days: int) -> list[tuple[object, dict[str, float], int, bool]]:
    table = log.gaps(features=["balance", "n_investments"]).table
    start = table["start_date"].dt.date
    found = []
    for row in table[(start > origin) & (start <= origin + days * DAY)].to_dict("records"):
        balance = 0.0 if pd.isna(row["balance"]) else float(row["balance"])
        state = {"balance": balance, "n_investments": float(row["n_investments"])}
        churned = (not row["returned"]) or row["duration"] > IDLE
        found.append((row["user_id"], state, IDLE + 1 if churned else int(row["duration"]), churned))
    return found


def walk(rules: list[Rule], wanted: set[int], gaps, worth: Value | None = None) -> Walked:
    found = Walked(wanted, worth)
    for user, state, duration, churned in gaps:
        found.gap(user, [tier_on(rules, state, day) for day in range(IDLE)], duration, churned=churned)
    return found


def same_row(row: pd.Series, walked: Walked, days: int) -> None:
    assert row["n_gaps"] == walked.column("n").sum()
    assert row["alerts"] == walked.column("alerts").sum()
    assert row["rows"] == walked.column("rows").sum()
    assert row["alerts_per_day"] == pytest.approx(walked.column("alerts").sum() / days)
    lead, y = walked.column("lead").sum(), walked.column("y").sum()
    assert row["base_rate"] == pytest.approx(walked.ratio("y", "n")[0])
    assert row["recall"] == pytest.approx(walked.column("right").sum() / y)
    assert row["lead_recall"] == pytest.approx(lead / IDLE / y)
    if walked.column("right").sum():
        assert row["lead_days"] == pytest.approx(lead / walked.column("right").sum())
    for name, top, below in (("precision", "right", "alerts"), ("row_precision", "hit", "rows")):
        share, error, g = walked.ratio(top, below)
        assert row[name] == pytest.approx(share, nan_ok=True)
        assert math.isnan(row[f"{name}_lower"]) == (not (0 < share < 1 and g >= 10))
        if 0 < share < 1 and g >= 10:
            middle, half = math.log(share / (1 - share)), stats.t.ppf(0.975, g - 1) * error / (share * (1 - share))
            assert row[f"{name}_lower"] == pytest.approx(1 / (1 + math.exp(half - middle)))
            assert row[f"{name}_upper"] == pytest.approx(1 / (1 + math.exp(-half - middle)))
    if walked.worth is not None:
        mean, error, g = (1000 * each for each in walked.ratio("value", "n"))
        half = stats.t.ppf(0.975, g / 1000 - 1) * error
        found = [row["value"], row["value_lower"], row["value_upper"]]
        assert found == pytest.approx([mean, mean - half, mean + half], abs=1e-9)


def test_all_figures_are_those_of_a_walk_gap_by_gap_and_day_by_day(app, judged):
    log, table = app.log, judged.table
    assert judged.origins == (log.observed_until - 150 * DAY, log.observed_until - 90 * DAY)
    every, tiers = [], ["high", "medium", "low"]
    compared = {NOBODY: Rule(), EVERYBODY: rule("idle_days > 0"), FIXED: rule(FIXED), "odd": ODD}
    checked = 0
    for origin, scheme in zip(judged.origins, judged.schemes, strict=True):
        gaps = gaps_of(log, origin, 60)
        every += gaps
        rules = [tier.rule for tier in scheme.tiers]
        assert [tier.name for tier in scheme.tiers] == tiers
        here = table[table["origin"] == pd.Timestamp(origin)].set_index(["policy", "tier"])
        parts = [(FITTED, t, rules, {k}, WORTH if t == "medium" else None) for k, t in enumerate(tiers)]
        parts += [(FITTED, np.nan, rules, {0, 1, 2}, WORTH)]
        parts += [(name, np.nan, [each], {0}, WORTH) for name, each in compared.items()]
        for policy, tier, held, wanted, worth in parts:
            row = here[(here.index.get_level_values(0) == policy)]
            row = row[row.index.get_level_values(1).isna() if tier is np.nan else row.index.get_level_values(1) == tier]
            same_row(row.iloc[0], walk(held, wanted, gaps, worth), 60)
            checked += 1
    assert checked == 16
    pooled = table[table["origin"].isna() & (table["policy"] == "odd")].iloc[0]
    same_row(pooled, walk([ODD], {0}, every, WORTH), 120)
    assert judged.n_gaps == len(every)


def random_rule(rng: np.random.Generator) -> Rule:
    """One or two alternatives, with any signs."""
    found = []
    for _ in range(rng.integers(1, 3)):
        parts = [f"idle_days {rng.choice(['>', '>='])} {rng.integers(1, 28)}"]
        if rng.random() < 0.3:
            parts.append(f"idle_days {rng.choice(['<', '<='])} {rng.integers(5, 30)}")
        if rng.random() < 0.6:
            parts.append(f"balance {rng.choice(['<', '>=', '>', '<='])} {rng.choice([1, 100, 5000])}")
        if rng.random() < 0.4 and len(parts) < 3:
            parts.append(f"n_investments {rng.choice(['<', '>=', '>', '<='])} {rng.integers(1, 5)}")
        found.append(" and ".join(parts))
    return rule(*found)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_any_rules_on_small_random_logs_are_walked_alike(judged, seed):
    rng = np.random.default_rng(seed)
    log = ch.simulate_app(60, seed=seed).log
    tiers = tuple(dataclasses.replace(tier, rule=random_rule(rng)) for tier in judged.schemes[0].tiers)
    scheme = dataclasses.replace(judged.schemes[0], tiers=tiers, known_until=log.observed_from)
    origin = log.observed_until - 200 * DAY
    found = backtest(log, scheme=scheme, origins=[origin], test_days=150, value=WORTH)
    gaps, rules = gaps_of(log, origin, 150), [tier.rule for tier in tiers]
    table = found.table[found.table["origin"].notna() & (found.table["policy"] == FITTED)]
    for place, tier in enumerate(tiers):
        same_row(table[table["tier"] == tier.name].iloc[0], walk(rules, {place}, gaps, WORTH), 150)
        # contacting nobody is worth nothing: the difference is what contacts in this tier or a higher one bring
        against = found.differences[(found.differences["tier"] == tier.name)].set_index("compared_with")
        mean, error, _ = walk(rules, set(range(place + 1)), gaps, WORTH).ratio("value", "n")
        assert against.loc[NOBODY, ["estimate", "std_error"]].tolist() == pytest.approx([1000 * mean, 1000 * error])
    same_row(table[table["tier"].isna()].iloc[0], walk(rules, {0, 1, 2}, gaps, WORTH), 150)


def test_differences_are_paired_over_users(app, judged):
    log = app.log
    totals: dict[str, dict[object, float]] = {}
    n: dict[object, float] = {}
    for origin, scheme in zip(judged.origins, judged.schemes, strict=True):
        gaps = gaps_of(log, origin, 60)
        rules = [tier.rule for tier in scheme.tiers]
        for name, held, wanted in ((FITTED, rules, {0, 1}), (FIXED, [rule(FIXED)], {0}), ("odd", [ODD], {0})):
            walked = walk(held, wanted, gaps, WORTH)
            for user, each in walked.users.items():
                totals.setdefault(name, {}).setdefault(user, 0.0)
                totals[name][user] += each["value"]
                if name == FITTED:
                    n[user] = n.get(user, 0.0) + each["n"]
    table = judged.differences
    assert set(table["tier"]) == {"medium"}
    assert table["compared_with"].tolist() == [NOBODY, EVERYBODY, FIXED, "odd"]
    x, g = np.array(list(n.values())), len(n)
    p_values = []
    for name in (FIXED, "odd"):
        y = np.array([totals[FITTED][user] - totals[name][user] for user in n])
        mean = y.sum() / x.sum()
        error = math.sqrt(g / (g - 1) * ((y - mean * x) ** 2).sum()) / x.sum()
        row = table[table["compared_with"] == name].iloc[0]
        half = stats.t.ppf(0.975, g - 1) * error
        assert row["estimate"] == pytest.approx(1000 * mean)
        assert [row["lower"], row["upper"]] == pytest.approx([1000 * (mean - half), 1000 * (mean + half)])
        assert row["p_value"] == pytest.approx(2 * stats.t.sf(abs(mean / error), g - 1))
        p_values.append(row["p_value"])
    ordered = np.sort(table["p_value"].to_numpy())
    holm = np.minimum(np.maximum.accumulate(ordered * np.arange(4, 0, -1)), 1)
    assert np.sort(table["adjusted_p_value"].to_numpy()) == pytest.approx(holm)


def test_accuracy_is_told_beside_that_of_always_saying_no(app, judged):
    table = judged.accuracy.set_index(["horizon", "policy"])
    counts = dict.fromkeys([(h, p) for h in (7, IDLE) for p in (FITTED, FIXED)], (0, 0, 0, 0))
    for origin, scheme in zip(judged.origins, judged.schemes, strict=True):
        gaps = gaps_of(app.log, origin, 60)
        for policy, rules in ((FITTED, [tier.rule for tier in scheme.tiers]), (FIXED, [rule(FIXED)])):
            for _, state, duration, churned in gaps:
                for day in range(min(duration, IDLE)):
                    warned = tier_on(rules, state, day) is not None
                    for horizon in (7, IDLE):
                        # the churn of a gap that lasts comes on idle day 30
                        truth, said = churned and IDLE - day <= horizon, warned and IDLE - day <= horizon
                        rows, yes, right, foretold = counts[horizon, policy]
                        counts[horizon, policy] = rows + 1, yes + truth, right + (truth == said), foretold + said
    for key, (rows, yes, right, foretold) in counts.items():
        found = table.loc[key]
        assert found["rows"] == rows
        assert found["base_rate"] == pytest.approx(yes / rows)
        assert found["always_no"] == pytest.approx(1 - yes / rows)
        assert found["accuracy"] == pytest.approx(right / rows)
        assert found["precision"] * foretold == pytest.approx(found["recall"] * yes)
    for horizon in (7, IDLE):
        never = table.loc[horizon, NOBODY]
        assert never["accuracy"] == pytest.approx(never["always_no"])
    # a week ahead it is easy to be right, and saying no is right nearly as often
    assert table.loc[(7, EVERYBODY), "accuracy"] > 0.98
    assert table.loc[(7, NOBODY), "accuracy"] > 0.9 > table.loc[(IDLE, MOST_ACCURATE), "accuracy"]
    assert table.loc[(IDLE, MOST_ACCURATE), "accuracy"] > table.loc[(IDLE, NOBODY), "accuracy"]


def test_the_most_urgent_are_ranked_by_what_was_known_before(app, judged):
    """With three alerts a day on average, from the gaps before each origin, cell by cell."""
    log = app.log
    alerts = right = lead = churned_in_all = 0
    for origin, scheme in zip(judged.origins, judged.schemes, strict=True):
        # the rules that are compared cut cells in two
        more = {"balance": {math.nextafter(100.0, 999.0)}, "n_investments": {math.nextafter(2.0, 9.0)}}
        cuts = {name: sorted({*grid, *more[name]}) for name, grid in scheme.grids.items()}

        def cell(state, cuts=cuts):
            return tuple(sum(cut <= state[name] for cut in cuts[name]) for name in cuts)

        table = log.as_of(origin).gaps(features=["balance", "n_investments"]).table
        first = table["start_date"].dt.date.min()
        before = gaps_of(log.as_of(origin), first - DAY, (origin - IDLE * DAY - first).days + 1)
        seen, lost, later = {}, {}, gaps_of(log, origin, 60)
        cells = {cell(state) for _, state, *_ in (*before, *later)}
        for each in cells:
            mine = [(t, y) for _, s, t, y in before if cell(s) == each]
            seen[each], lost[each] = [sum(t > d for t, _ in mine) for d in range(IDLE)], sum(y for _, y in mine)
        overall = [sum(lost.values()) / sum(seen[each][d] for each in cells) for d in range(IDLE)]
        urgency = {
            each: [(lost[each] + 10 * overall[d]) / (seen[each][d] + 10) * (IDLE - d) / IDLE for d in range(IDLE)]
            for each in cells
        }

        def hits(limit, urgency=urgency, later=later, cell=cell):
            days = {each: next((d for d in range(1, IDLE) if u[d] >= limit), IDLE) for each, u in urgency.items()}
            first = [(days[cell(s)], t, y) for _, s, t, y in later]
            return [(d, y) for d, t, y in first if d < IDLE and t > d]

        limits, low = sorted({u for each in urgency.values() for u in each[1:]}, reverse=True), -1
        high = len(limits)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if len(hits(limits[middle])) <= 3 * 60 else (low, middle)
        hit = hits(limits[low])
        best = len(hit), sum(y for _, y in hit), sum(y * (IDLE - d) for d, y in hit)
        alerts, right, lead = alerts + best[0], right + best[1], lead + best[2]
        churned_in_all += sum(y for *_, y in later)
    gains = judged.gains
    told = gains[gains["capacity"] == 3].iloc[0]
    assert told["alerts_per_day"] == pytest.approx(alerts / 120)
    assert told["precision"] == pytest.approx(right / alerts)
    assert told["recall"] == pytest.approx(right / churned_in_all)
    assert told["lead_recall"] == pytest.approx(lead / IDLE / churned_in_all)
    assert (gains[["capacity", "alerts_per_day", "recall", "lead_recall"]].diff().iloc[1:] >= -1e-12).all().all()
    assert gains["recall"].iloc[-1] == 1.0


# ------------------------------------------------------------------------------------------------------ by hand


def test_a_case_by_hand():
    worth = Value(
        saved_value=10, contact_cost=2, saving=Saving.from_table({"idle_days": [1, 2, 3], "s": [0.5, 0.4, 0.1]})
    )
    rules = {"one": rule("idle_days > 1"), "low": rule("idle_days > 0 and score < 5")}
    scheme = fit_tiers(
        log_of([(1, [], 1.0), (1, [2], 9.0)]), objective={"high": worth}, variables=["score"], grids={"score": [5]},
        until="2024-01-05", bootstrap=0,
    )  # fmt: skip
    assert scheme.known_until == datetime.date(2024, 1, 5)
    found = backtest(
        log_of([(1, [20], 1.0), (10, [10], 1.0), (6, [10, 2], 1.0), (4, [10, 3], 9.0)]),
        scheme=scheme, origins="2024-01-05", test_days=7, rules=rules,
    )  # fmt: skip
    # gaps that begin from Jan 6 to 12: 20 on Jan 11, 10 of which end in churn
    table = found.table[found.table["origin"].isna()].set_index("policy")
    one, low = table.loc["one"], table.loc["low"]
    assert (one["n_gaps"], one["base_rate"]) == (20, 0.5)
    # idle day 2: those who return on day 3 are silent still. On day 2, 3: 14 + 10 user-days
    assert (one["alerts"], one["precision"], one["recall"], one["lead_recall"]) == (14, 10 / 14, 1.0, 0.5)
    assert (one["rows"], one["row_precision"], one["lead_days"]) == (24, 20 / 24, 2.0)
    assert one["value"] == pytest.approx(1000 * (10 * 0.4 * 10 - 14 * 2) / 20)
    # low scores: 10 churners and 6 who return on day 2, alerted on day 1
    assert (low["alerts"], low["rows"], low["lead_recall"]) == (16, 6 + 30, 0.75)
    assert low["value"] == pytest.approx(1000 * (10 * 0.5 * 10 - 16 * 2) / 20)
    accuracy = found.accuracy.set_index(["horizon", "policy"]).loc[(4, "one")]
    # user-days: 10 * 4 + 6 * 2 + 4 * 3; wrong: churners on days 0, 1 and the four on day 2
    assert (accuracy["rows"], accuracy["base_rate"]) == (64, 40 / 64)
    assert accuracy["accuracy"] == 1 - 24 / 64
    assert found.frozen
    assert "seen days through 2024-01-05" in found.notes[0]


# ------------------------------------------------------------------------------------------------- no look ahead


def test_what_happens_after_an_origin_changes_no_rule(app, judged):
    origin = judged.origins[0]
    events, balances, users = app.events, app.balances, app.users
    after = pd.Timestamp(origin + DAY)
    gone = users["user_id"].sample(frac=0.5, random_state=0)
    kept = [
        table[(pd.to_datetime(table[column], utc=True).dt.tz_localize(None) < after) | ~table["user_id"].isin(gone)]
        for table, column in ((events, "event_at"), (balances, "date"))
    ]
    log = ch.ActivityLog(
        kept[0],
        users[pd.to_datetime(users["registered_at"]) < after],
        balances=kept[1],
        observed_from=app.log.observed_from,
        observed_until=app.log.observed_until,
    )
    again = backtest(log, spec=SPEC, origins=[origin], test_days=60)
    assert [str(tier.rule) for tier in again.schemes[0].tiers] == [str(t.rule) for t in judged.schemes[0].tiers]
    assert again.schemes[0].data_hash == judged.schemes[0].data_hash
    first = judged.table[judged.table["origin"] == pd.Timestamp(origin)]["n_gaps"].iloc[0]
    assert again.n_gaps != first


def test_a_frozen_scheme_is_judged_as_the_same_rules_fitted_at_the_origin(app, judged):
    frozen = backtest(app.log, scheme=judged.schemes[1], origins=[judged.origins[1]], test_days=60, capacity=3)
    rows = [
        table[(table["origin"] == pd.Timestamp(judged.origins[1])) & (table["policy"] != "odd")].reset_index(drop=True)
        for table in (frozen.table, judged.table)
    ]
    # the rule that is left out cut some cells in two: only the ranking knows
    ranked = rows[0]["policy"] == "3 alerts a day"
    pd.testing.assert_frame_equal(rows[0][~ranked], rows[1][~ranked])


def test_origins_are_the_last_that_fit_and_pooled_figures_are_their_sums(judged):
    table = judged.table
    each, whole = table[table["origin"].notna()], table[table["origin"].isna()]
    keys = ["policy", "tier"]
    figures = ["n_gaps", "alerts", "rows"]
    sums = each.groupby([each[key].fillna("") for key in keys], sort=False)[figures].sum()
    together = whole.set_index([whole[key].fillna("") for key in keys])[figures]
    pd.testing.assert_frame_equal(sums, together, check_index_type=False)
    fixed = each[each["policy"] == FIXED]
    found = whole.loc[whole["policy"] == FIXED, "value"].iloc[0]
    assert found == pytest.approx((fixed["value"] * fixed["n_gaps"]).sum() / judged.n_gaps)


# --------------------------------------------------------------------------------------------------- what is shown


def test_tables_have_their_layouts(judged):
    for name, table in (
        ("backtest", judged.table),
        ("backtest_accuracy", judged.accuracy),
        ("backtest_differences", judged.differences),
        ("backtest_rules", judged.stability),
        ("backtest_gains", judged.gains),
    ):
        assert tuple(table.columns) == schema(name).names, name
    facts = json.loads(judged.to_json())
    assert facts["schema"]["name"] == "backtest"
    assert facts["facts"]["origins"] == [str(origin) for origin in judged.origins]
    text = repr(judged)
    assert "first alerts a day" in text
    assert "accuracy" in text
    assert "always saying no" in text
    assert any("in training" in note and "on later days" in note for note in judged.notes)


def test_stability_has_each_threshold_of_each_origin(judged):
    found = judged.stability
    for origin, scheme in zip(judged.origins, judged.schemes, strict=True):
        here = found[found["origin"] == pd.Timestamp(origin)]
        expected = [
            (tier.name, place, c.variable, c.sign, c.threshold)
            for tier in scheme.tiers
            for place, conditions in enumerate(tier.rule.alternatives, start=1)
            for c in conditions
        ]
        assert (
            list(here[["tier", "alternative", "variable", "sign", "threshold"]].itertuples(index=False, name=None))
            == expected
        )


def test_a_value_given_counts_for_all_tiers(app, judged):
    other = Value(saved_value=50, contact_cost=1, saving=Saving.linear())
    found = backtest(app.log, scheme=judged.schemes[0], origins=[judged.origins[1]], test_days=60, value=other)
    assert found.table["value"].notna().all()
    assert set(found.differences["tier"]) == {"high", "medium", "low"}
    assert not any("per 1,000 gaps in training" in note for note in found.notes)
    alone = dataclasses.replace(judged.schemes[0], tiers=judged.schemes[0].tiers[:1])
    found = backtest(app.log, scheme=alone, origins=1, test_days=60)
    assert found.table["value"].isna().all()
    assert found.differences.empty


def test_origins_that_overlap_are_told(app, judged):
    found = backtest(
        app.log, scheme=judged.schemes[0], origins=[judged.origins[1] - 10 * DAY, judged.origins[1]], test_days=60
    )
    assert any("overlap" in note for note in found.notes)


def test_a_log_that_only_has_later_days_can_judge_a_scheme():
    worth = Value(
        saved_value=10, contact_cost=1, saving=Saving.from_table({"idle_days": [1, 2, 3], "s": [0.5, 0.4, 0.1]})
    )
    scheme = fit_tiers(
        log_of([(5, [], 1.0), (5, [2], 9.0)]), objective={"high": worth}, variables=[], until="2024-01-05", bootstrap=0
    )
    users = pd.DataFrame({"user_id": [1, 2], "registered_at": ["2024-01-06", "2024-01-07"]})
    events = pd.DataFrame({"user_id": [1], "event_at": ["2024-01-08"], "kind": ["login"]})
    log = ch.ActivityLog(
        events, users, rule=ch.ChurnRule(idle_days=4), observed_from="2024-01-06", observed_until="2024-02-01"
    )
    found = backtest(log, scheme=scheme, origins=["2024-01-05"], test_days=10, capacity=1)
    assert found.n_gaps == 3
    assert found.gains.empty
    assert any("nothing to rank" in note for note in found.notes)
    assert MOST_ACCURATE not in set(found.accuracy["policy"])


# ------------------------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({}, "neither is given"),
        ({"spec": SPEC, "scheme": "scheme"}, "both are given"),
        ({"spec": SPEC | {"until": "2024-01-01"}}, "spec: 'until' is set by backtest"),
        ({"spec": [1]}, "spec is a dict"),
        ({"scheme": "scheme", "origins": "late"}, "too late.* the last possible origin is"),
        ({"scheme": "scheme", "origins": "2023-01-01"}, "too early: the scheme has seen days through"),
        ({"spec": SPEC, "origins": "2022-07-10"}, "too early: there is no gap yet"),
        ({"spec": SPEC, "origins": 40}, "40 windows of 60 test days do not fit.*Ask for"),
        ({"spec": SPEC, "origins": 1, "test_days": 5_000}, "do not fit.*Take a longer log"),
        ({"spec": SPEC, "origins": True}, "origins is a whole number"),
        ({"spec": SPEC, "origins": []}, "origins: there is none"),
        ({"spec": SPEC, "origins": 1.5}, "origins is a number or a list of dates"),
        ({"spec": SPEC, "test_days": 0}, "test_days is a whole number"),
        ({"scheme": "scheme", "origins": 1, "capacity": 0}, "capacity is a number of first alerts a day"),
        ({"scheme": "scheme", "origins": 1, "capacity": 301}, "more than there are users"),
        ({"spec": SPEC, "value": 5}, "value is a ch.Value"),
        ({"scheme": "scheme", "origins": 1, "rules": {"x": "idle > 3"}}, r"rules\['x'\] is a ch.Rule"),
        ({"scheme": "scheme", "origins": 1, "rules": {"fitted": ODD}}, "name 'fitted' is taken"),
        ({"scheme": "scheme", "origins": 1, "rules": {"x": rule("balance < 5")}}, "holds on the day of an activity"),
        ({"scheme": "scheme", "origins": 1, "rules": {"x": rule("idle_days >= 0")}}, "holds on the day of an activity"),
        ({"scheme": "scheme", "origins": 1, "rules": {"x": rule("idle_days > 3 and age < 5")}}, "'age', which is not"),
    ],
)
def test_what_cannot_be_judged_is_refused_with_the_reason(app, judged, keywords, message):
    asked = dict(keywords)
    if asked.get("scheme") == "scheme":
        asked["scheme"] = judged.schemes[0]
    if asked.get("origins") == "late":
        asked["origins"] = app.log.observed_until - 89 * DAY
    with pytest.raises(InputError, match=message):
        backtest(app.log, **{"test_days": 60, **asked})


def test_an_origin_before_any_churn_says_why():
    log = log_of([(10, [2] * 25, 1.0)])
    worth = Value(saved_value=10, contact_cost=1, saving=Saving.linear(idle_days=4))
    with pytest.raises(InputError, match="cannot be fitted at the origin 2024-01-20: Nobody churned"):
        backtest(log, spec={"objective": {"high": worth}, "variables": []}, origins=["2024-01-20"], test_days=10)


def test_a_scheme_of_another_churn_rule_is_refused(app, judged):
    log = ch.ActivityLog(app.events, app.users, rule=ch.ChurnRule(idle_days=20))
    with pytest.raises(InputError, match="another churn rule"):
        backtest(log, scheme=judged.schemes[0])
