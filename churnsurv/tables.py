"""Schemas of the public tables, the column vocabulary, and the mixin that makes a dataclass a result.

This module knows no result class: a result names its schema, and `Result` does the rest.
"""

from __future__ import annotations

import html
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from churnsurv.errors import InputError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["SCHEMAS", "Column", "Result", "Schema", "plain", "schema"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a public table.

    Attributes
    ----------
    name : str
    kind : {"text", "integer", "number", "boolean", "date", "any"}
    meaning : str
        One sentence with the unit.
    """

    name: str
    kind: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Schema:
    """A versioned table layout: these columns in this order, then any attributes of the user's own."""

    name: str
    version: int
    columns: tuple[Column, ...]
    open: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The column names, in order."""
        return tuple(column.name for column in self.columns)


def _schema(name: str, *columns: tuple[str, str, str], open: bool = False, version: int = 1) -> Schema:
    return Schema(name, version, tuple(Column(*column) for column in columns), open)


_INTERVAL = (
    ("lower", "number", "lower limit of the confidence interval at `level`"),
    ("upper", "number", "upper limit of the confidence interval at `level`"),
)
_MODEL = (
    ("term", "text", "the term as printed, such as 'channel: invitation'"),
    ("variable", "text", "the variable the term belongs to"),
    ("category", "text", "the category compared with the reference; null for numeric terms"),
    ("reference", "text", "the reference category; null for numeric terms"),
    ("known_at", "text", "when the value is known: origin, day N, lag N or given"),
    ("estimate", "number", "coefficient on the log scale"),
    ("std_error", "number", "standard error of the estimate"),
    ("statistic", "number", "Wald z"),
    ("p_value", "number", "two-sided"),
    *_INTERVAL,
)

_HABIT = (
    ("active_days", "integer", "days with activity so far in the log, that of registration included"),
    ("mean_interval", "number", "mean days from one active day to the next so far; null with fewer than two"),
    ("last_interval", "number", "days between the last two active days; null with fewer than two"),
    ("life_observed", "boolean", "false where the user registered before the log, so that all counts begin with it"),
)
_DAY = (
    ("user_id", "any", "the user, alive at the end of `date`"),
    ("date", "date", "the day at whose end everything is known that stands here, but the outcome"),
)
_STATE = (
    ("spell", "integer", "1 from registration, then one more for each return"),
    ("spell_day", "integer", "days since the origin of the spell"),
    ("tenure", "integer", "days since registration"),
    ("idle_days", "integer", "days since the last activity"),
    *_HABIT,
)

_PROFILE = (
    ("group", "text", "values of the `by` columns joined by ' | '; 'all' without `by`"),
    ("variable", "text", "what users are compared on"),
    ("cut", "number", "users at or below it are compared with those above"),
    ("n_churned", "integer", "churned users who have a value of the variable"),
    ("n_retained", "integer", "retained users who have one"),
    ("share_churned", "number", "share of the churned users at or below the cut"),
    ("churned_lower", "number", "Wilson's lower limit of it at `level`, alone"),
    ("churned_upper", "number", "Wilson's upper limit of it"),
    ("share_retained", "number", "share of the retained users at or below the cut"),
    ("retained_lower", "number", "Wilson's lower limit of it at `level`, alone"),
    ("retained_upper", "number", "Wilson's upper limit of it"),
    ("difference", "number", "share_churned less share_retained"),
)

SCHEMAS: Mapping[str, Schema] = {
    s.name: s
    for s in (
        _schema(
            "spells",
            ("user_id", "any", "the user"),
            ("spell", "integer", "1 from registration, then one more for each return"),
            ("origin", "date", "day of registration or return: day 0 of the spell"),
            ("origin_known", "boolean", "false where the log may have missed an earlier churn"),
            (
                "entry",
                "integer",
                "days after origin at which the user came under observation; at risk after it",
            ),
            ("duration", "integer", "days from origin to churn or to the end of the log"),
            ("churned", "boolean", "true where the spell ended in churn, false where it is censored"),
            ("last_activity", "date", "last active day of the spell"),
            ("end_date", "date", "the day of churn, or the last day of the log"),
            open=True,
        ),
        _schema(
            "history",
            ("user_id", "any", "the user"),
            ("spell", "integer", "1 from registration, then one more for each return"),
            ("origin", "date", "day of registration or return: day 0 of the spell"),
            ("start", "integer", "days since origin; at risk after it, with features as of `lag` days before"),
            ("stop", "integer", "days since origin up to which the row is at risk"),
            ("churned", "boolean", "true where the spell ended in churn on `stop`; only on its last row"),
            open=True,
        ),
        _schema("snapshot", *_DAY, *_STATE, open=True),
        _schema(
            "panel",
            *_DAY,
            ("churned", "boolean", "true where the spell ends in churn within `horizon` days after `date`"),
            ("duration", "integer", "days from `date` to that churn; `horizon` where there is none"),
            *_STATE,
            open=True,
        ),
        _schema(
            "gaps",
            ("user_id", "any", "the user"),
            ("gap", "integer", "1, 2, ... for each user"),
            ("start_date", "date", "the active day on which the gap begins"),
            ("entry", "integer", "0: a gap is under observation from its beginning"),
            ("duration", "integer", "days to the next active day, or to the end of the log"),
            ("returned", "boolean", "true where an active day ends the gap, false where the log does"),
            ("registration_gap", "boolean", "true where the gap begins on the day of registration"),
            ("spell", "integer", "number of the spell that `start_date` belongs to"),
            ("tenure", "integer", "days from registration to `start_date`"),
            *_HABIT,
            open=True,
        ),
        _schema(
            "lifecycle",
            ("stage", "text", "lifecycle stage, in the order of the log's stages"),
            ("living", "integer", "users alive at the end of the day who are in the stage"),
            ("churned", "integer", "users who have churned by then and not returned, by the stage they left in"),
            ("users", "integer", "living and churned"),
        ),
        _schema(
            "stage_transitions",
            ("from_stage", "text", "the state left: a stage, '(registered)' before any, '(churned)' before a return"),
            ("to_stage", "text", "the state entered: a stage, or '(churned)' on the day of formal churn"),
            ("transitions", "integer", "how often, up to the day"),
            ("users", "integer", "users who did so at least once"),
        ),
        _schema(
            "user_stages",
            ("user_id", "any", "the user"),
            ("stage", "text", "stage at the end of the day; of the churned the one they left in"),
            ("since", "date", "day on which the stage began; days between churn and return do not end it"),
            ("status", "text", "living or churned at the end of the day"),
            ("spell", "integer", "number of the last spell"),
            open=True,
        ),
        _schema(
            "stage_episodes",
            ("user_id", "any", "the user"),
            ("spell", "integer", "number of the spell"),
            ("stage", "text", "lifecycle stage"),
            ("origin", "date", "day at whose end the stage is first known; registration or return for the first one"),
            ("entry", "integer", "0: a stage is under observation from its beginning"),
            ("duration", "integer", "days from origin to churn, to the next stage, or to the end of the log"),
            ("ended", "boolean", "true where churn or another stage ended it, false where the log did"),
            ("ended_by", "text", "churned or moved; null where the log ended it"),
            ("next_stage", "text", "the stage moved to; else null"),
        ),
        _schema(
            "rejects",
            ("table", "text", "the input table: events, users or balances"),
            (
                "row",
                "integer",
                "0-based position of the row in its source, where the source has one; else null",
            ),
            ("user_id", "text", "the user id as found"),
            ("reason", "text", "why the row cannot be used"),
            ("value", "text", "the value at fault, as found"),
        ),
        _schema(
            "check",
            ("table", "text", "the input table"),
            ("problem", "text", "short name of the problem"),
            ("severity", "text", "error, warning or note"),
            ("n_rows", "integer", "rows concerned"),
            ("example", "text", "a first example"),
            ("advice", "text", "what to do"),
        ),
        _schema(
            "story",
            ("date", "date", "calendar day"),
            ("spell", "integer", "number of the spell the day belongs to; null between spells"),
            ("day", "integer", "days since the origin of the spell; null between spells"),
            ("what", "text", "registered, active, entered, churned, returned, censored ..."),
            ("detail", "text", "in words"),
        ),
        _schema(
            "curves",
            ("group", "text", "values of the `by` columns joined by ' | '; 'all' without `by`"),
            ("time", "number", "days since origin"),
            ("survival", "number", "P(T > time), right-continuous"),
            ("std_error", "number", "standard error of survival"),
            *_INTERVAL,
            ("n_at_risk", "number", "users at risk just before `time` (entry < time <= duration)"),
            ("n_events", "number", "churns on `time`"),
            ("n_censored", "number", "spells censored on `time`"),
            open=True,
        ),
        _schema(
            "quantiles",
            ("group", "text", "as in curves"),
            ("probability", "number", "share that has churned"),
            (
                "time",
                "number",
                "first day with survival at or below 1 - probability, midway to the next drop if equal; null if never",
            ),
            *_INTERVAL,
        ),
        _schema(
            "bands",
            ("group", "text", "as in curves"),
            ("time", "number", "days since origin"),
            ("survival", "number", "P(T > time)"),
            ("lower", "number", "lower edge of a band that holds the whole curve with the probability asked for"),
            ("upper", "number", "upper edge of that band"),
        ),
        _schema(
            "cumulative_hazard",
            ("group", "text", "as in curves"),
            ("time", "number", "days since origin"),
            ("cumulative_hazard", "number", "Nelson and Aalen's estimate"),
            ("std_error", "number", "standard error of the cumulative hazard"),
            *_INTERVAL,
        ),
        _schema(
            "smoothed_hazard",
            ("group", "text", "as in curves"),
            ("time", "number", "days since origin"),
            ("hazard", "number", "churns a day among those at risk, averaged over the bandwidth"),
            ("std_error", "number", "standard error of the hazard"),
            *_INTERVAL,
            ("bandwidth", "number", "days on either side that are averaged"),
        ),
        _schema(
            "conditional_survival",
            ("group", "text", "as in curves"),
            ("alive_at", "number", "days since origin to which users have stayed"),
            ("time", "number", "days from then on"),
            ("survival", "number", "P(T > alive_at + time | T > alive_at)"),
            ("std_error", "number", "standard error of survival"),
            *_INTERVAL,
        ),
        _schema(
            "rmst",
            ("group", "text", "as in curves"),
            ("horizon", "number", "days since origin"),
            ("estimate", "number", "mean number of days until churn or the horizon, whichever comes first"),
            ("std_error", "number", "standard error of the estimate"),
            *_INTERVAL,
            ("n", "integer", "rows; users where weights are frequencies"),
            ("n_events", "integer", "churns before the horizon"),
            open=True,
        ),
        _schema(
            "rmst_difference",
            ("group", "text", "as in curves"),
            ("reference", "text", "the group that it is compared with"),
            ("horizon", "number", "days since origin"),
            ("estimate", "number", "restricted mean of the group less that of the reference, in days"),
            ("std_error", "number", "standard error of the estimate"),
            ("statistic", "number", "Wald z; null where the standard error is 0"),
            ("p_value", "number", "two-sided, of this comparison alone"),
            ("p_adjusted", "number", "adjusted for the number of comparisons"),
            *_INTERVAL,
            ("ratio", "number", "restricted mean of the group over that of the reference"),
            ("ratio_lower", "number", "lower limit of the ratio, each alone"),
            ("ratio_upper", "number", "upper limit of the ratio, each alone"),
        ),
        _schema(
            "mean_cumulative",
            ("group", "text", "as in curves"),
            ("time", "number", "days since registration"),
            ("mean", "number", "mean number of churns of a user up to this day"),
            ("std_error", "number", "standard error of the mean, robust by user"),
            *_INTERVAL,
            ("n_at_risk", "integer", "users under observation just before `time`, whether active or churned"),
            ("n_events", "integer", "churns on `time`"),
            open=True,
        ),
        _schema(
            "test",
            ("group", "text", "as in curves"),
            ("n", "number", "rows"),
            ("observed", "number", "events observed"),
            ("expected", "number", "events expected if all groups were alike"),
            open=True,
        ),
        _schema(
            "effects",
            ("group", "text", "as in curves"),
            ("reference", "text", "the group compared with: the first one"),
            ("hazard_ratio", "number", "Cox's, of the group against the reference, within strata where there are any"),
            ("hr_lower", "number", "lower limit of the confidence interval of hazard_ratio at `level`"),
            ("hr_upper", "number", "upper limit of it"),
            ("rmst_difference", "number", "mean days until churn before `horizon`, group less reference"),
            ("rmst_lower", "number", "lower limit of the confidence interval of rmst_difference at `level`"),
            ("rmst_upper", "number", "upper limit of it"),
            ("horizon", "number", "days; the last day to which every group was followed"),
            ("note", "text", "why there is no hazard ratio, or no limits; else null"),
        ),
        _schema(
            "pairwise",
            ("group", "text", "as in curves"),
            ("reference", "text", "the group compared with: one that stands before it"),
            ("statistic", "number", "chi-square on 1 df; of max-combo the largest absolute normal deviate"),
            ("p_value", "number", "of this pair alone"),
            ("p_adjusted", "number", "adjusted for the number of pairs"),
            ("hazard_ratio", "number", "Cox's, of the two groups alone, within strata where there are any"),
            ("hr_lower", "number", "lower limit of the confidence interval of hazard_ratio"),
            ("hr_upper", "number", "upper limit of it"),
            ("rmst_difference", "number", "mean days until churn before `horizon`, group less reference"),
            ("rmst_lower", "number", "lower limit of the confidence interval of rmst_difference"),
            ("rmst_upper", "number", "upper limit of it"),
            ("horizon", "number", "days; null where none was asked for"),
            ("note", "text", "why there is no test or no hazard ratio; else null"),
        ),
        _schema(
            "cox",
            *_MODEL,
            ("hazard_ratio", "number", "exp(estimate)"),
            ("hr_lower", "number", "exp(lower)"),
            ("hr_upper", "number", "exp(upper)"),
        ),
        _schema(
            "cox_path",
            ("penalty", "number", "glmnet's lambda, falling"),
            ("n_nonzero", "integer", "coefficients that are not zero"),
            ("effective_df", "number", "degrees of freedom: of ridge the trace of I (I + P)^-1, else n_nonzero"),
            ("log_likelihood", "number", "of all rows, without the penalty"),
            ("deviance_explained", "number", "share of the way from coefficients zero to a hazard for each churn"),
            ("cv_deviance", "number", "mean deviance of left-out folds, by churn"),
            ("cv_std_error", "number", "standard error of that mean over folds"),
        ),
        _schema(
            "cox_path_coefficients",
            ("penalty", "number", "glmnet's lambda, falling"),
            ("term", "text", "the term as printed, such as 'channel: invitation'"),
            ("estimate", "number", "coefficient on the log scale, in the units of the covariate"),
        ),
        _schema(
            "contrasts",
            ("contrast", "text", "name of the sum of coefficients; 'search - friend' for two categories"),
            ("estimate", "number", "sum of weights times coefficients, on the log scale"),
            ("std_error", "number", "standard error of the estimate"),
            ("statistic", "number", "Wald z"),
            ("p_value", "number", "two-sided, of this contrast alone"),
            ("p_adjusted", "number", "adjusted for the number of contrasts"),
            *_INTERVAL,
            ("hazard_ratio", "number", "exp(estimate)"),
            ("hr_lower", "number", "exp(lower)"),
            ("hr_upper", "number", "exp(upper)"),
        ),
        _schema(
            "joint_tests",
            ("variable", "text", "the variable whose coefficients are tested together"),
            ("statistic", "number", "Wald chi-square; null where the robust covariance has too few clusters for it"),
            ("df", "integer", "number of coefficients"),
            ("p_value", "number", "that all of them are zero"),
        ),
        _schema(
            "ph_test",
            ("variable", "text", "the variable whose coefficients are tested together; GLOBAL: all"),
            ("statistic", "number", "score chi-square of a change with time; null where the churns cannot tell"),
            ("df", "integer", "degrees of freedom"),
            ("p_value", "number", "that hazard ratios stay the same throughout follow-up"),
        ),
        _schema(
            "ph_windows",
            ("window", "text", "days of follow-up: after the first, up to the second"),
            ("window_from", "number", "the window begins after this day; the first one holds day 0"),
            ("window_to", "number", "last day of the window"),
            ("term", "text", "the term as printed, such as 'channel: invitation'"),
            ("variable", "text", "the variable the term belongs to"),
            ("category", "text", "the category compared with the reference; null for numeric terms"),
            ("reference", "text", "the reference category; null for numeric terms"),
            ("n_events", "integer", "churns in the window: of the category, or of all rows for numeric terms"),
            ("estimate", "number", "coefficient within the window, on the log scale"),
            ("std_error", "number", "standard error of the estimate"),
            *_INTERVAL,
            ("hazard_ratio", "number", "exp(estimate)"),
            ("hr_lower", "number", "exp(lower)"),
            ("hr_upper", "number", "exp(upper)"),
            ("note", "text", "why there is no estimate; else null"),
        ),
        _schema(
            "baseline",
            ("stratum", "text", "values of the strata columns; 'all' without strata"),
            ("time", "number", "days since origin"),
            ("cumulative_hazard", "number", "at covariates zero (categories at their reference)"),
        ),
        _schema(
            "residuals",
            ("row", "integer", "position of the row in the data, from 0; then user_id where the data has it"),
            open=True,
        ),
        _schema(
            "schoenfeld",
            ("row", "integer", "position of the row of the churn in the data, from 0"),
            ("stratum", "text", "values of the strata columns; 'all' without strata"),
            ("time", "number", "day of churn"),
            open=True,
        ),
        _schema(
            "predicted_survival",
            ("user_id", "any", "the user; `row`, the position in the new data, where that has no user_id"),
            ("time", "number", "days since origin"),
            ("survival", "number", "P(T > time) at the row's covariates"),
            *_INTERVAL,
        ),
        _schema(
            "prediction",
            ("user_id", "any", "the user; `row`, the position in the new data, where that has no user_id"),
            ("estimate", "number", "risk (log hazard ratio), probability of churn, or days until churn"),
            open=True,
        ),
        _schema(
            "concordance",
            ("score", "text", "name of the score"),
            ("estimate", "number", "C: share of comparable pairs ranked right, equal scores counted half"),
            ("std_error", "number", "by the infinitesimal jackknife"),
            *_INTERVAL,
            ("n", "integer", "rows at risk"),
            ("n_events", "integer", "churns among them, up to the horizon"),
            ("concordant", "number", "comparable pairs of which the one who churns first has the higher score"),
            ("discordant", "number", "the lower score"),
            ("tied_score", "number", "the same score"),
            ("tied_time", "number", "pairs that churn on the same day with different scores; not comparable"),
            ("tied_both", "number", "pairs that churn on the same day with the same score; not comparable"),
        ),
        _schema(
            "concordance_comparison",
            ("score", "text", "name of the score"),
            ("reference", "text", "the score it is compared with: the first one"),
            ("estimate", "number", "C of the score less C of the reference"),
            ("std_error", "number", "of the difference, by the infinitesimal jackknife of both together"),
            ("statistic", "number", "estimate over standard error; null where both rank all pairs alike"),
            ("p_value", "number", "that both rank equally well, two-sided"),
            ("p_adjusted", "number", "adjusted for the number of comparisons"),
            *_INTERVAL,
        ),
        _schema(
            "brier",
            ("time", "number", "days since origin"),
            ("estimate", "number", "mean squared error of predicted survival, 0 perfect; censored rows made up for"),
            ("std_error", "number", "by the infinitesimal jackknife, the weights' own error included"),
            *_INTERVAL,
            ("reference", "number", "score of the Kaplan-Meier estimate of the same rows"),
            ("scaled", "number", "1 - estimate / reference: 1 perfect, 0 no better than the reference"),
            ("scaled_std_error", "number", "standard error of scaled"),
            ("scaled_lower", "number", "lower limit of scaled at `level`"),
            ("scaled_upper", "number", "upper limit of scaled at `level`"),
        ),
        _schema(
            "auc",
            ("time", "number", "days since origin"),
            ("estimate", "number", "how often one who has churned by `time` has a higher score than one who has not"),
            ("std_error", "number", "by the infinitesimal jackknife, the weights' own error included"),
            *_INTERVAL,
            ("churned_share", "number", "share that has churned by `time`, by Kaplan and Meier"),
            ("n_churned", "integer", "rows known to have churned by `time`"),
            ("n_left", "integer", "rows known not to have"),
        ),
        _schema(
            "calibration",
            ("group", "integer", "1 for the lowest predictions"),
            ("predicted", "number", "mean predicted probability of churn by the horizon"),
            ("observed", "number", "share that churned by then, by Kaplan and Meier; null where not followed so far"),
            ("std_error", "number", "standard error of observed"),
            *_INTERVAL,
            ("n", "integer", "rows at risk"),
            ("n_events", "integer", "churns among them by the horizon"),
            ("lowest", "number", "lowest prediction of the group"),
            ("highest", "number", "highest prediction of the group"),
        ),
        _schema(
            "calibration_curve",
            ("predicted", "number", "predicted probability of churn by the horizon"),
            ("observed", "number", "share of such rows that churned by then, by a smooth hazard regression"),
        ),
        _schema(
            "calibration_summary",
            ("quantity", "text", "ratio, intercept, slope, ici, e50 or e90"),
            ("estimate", "number", "the figure"),
            ("std_error", "number", "null where there is none"),
            *_INTERVAL,
            ("ideal", "number", "its value under perfect calibration"),
        ),
        _schema(
            "d_calibration",
            ("lower", "number", "lower end of the bin of predicted survival at the row's own end"),
            ("upper", "number", "upper end of the bin"),
            ("n", "number", "rows in the bin, censored ones spread over the bins that they may end in"),
            ("expected", "number", "rows expected in the bin"),
        ),
        _schema(
            "histogram",
            ("lower", "number", "lower end of the bin"),
            ("upper", "number", "upper end of the bin"),
            ("n", "number", "rows in it, by their weights"),
        ),
        _schema(
            "decision_curve",
            ("model", "text", "name of the prediction, 'treat all' or 'treat none'"),
            ("threshold", "number", "probability of churn from which on a user is contacted"),
            ("net_benefit", "number", "churners contacted per user, less others contacted times t / (1 - t)"),
            ("std_error", "number", "standard error of net_benefit"),
            *_INTERVAL,
            ("contacted", "number", "share of users at or above the threshold"),
            ("churned", "number", "share of these that churn by the horizon, by Kaplan and Meier; null if nobody"),
        ),
        _schema(
            "cumulative_incidence",
            ("group", "text", "values of the `by` columns joined by ' | '; 'all' without `by`"),
            ("cause", "text", "the reason of churn; 'unknown' where it is not known"),
            ("time", "number", "days since origin"),
            ("incidence", "number", "P(churned by `time`, for this cause), right-continuous"),
            ("std_error", "number", "standard error of incidence"),
            *_INTERVAL,
            ("n_at_risk", "number", "users at risk just before `time` (entry < time <= duration)"),
            ("n_events", "number", "churns of this cause on `time`"),
            open=True,
        ),
        _schema(
            "incidence_bounds",
            ("group", "text", "as in cumulative_incidence"),
            ("cause", "text", "the cause asked for"),
            ("time", "number", "days since origin"),
            ("lowest", "number", "incidence if no churn of unknown cause was of this cause"),
            ("missing_at_random", "number", "incidence if unknown causes are like the known ones of group and day"),
            ("highest", "number", "incidence if all churns of unknown cause were of this cause"),
            ("std_error", "number", "standard error of missing_at_random"),
            ("mar_lower", "number", "lower limit of missing_at_random at `level`"),
            ("mar_upper", "number", "upper limit of missing_at_random at `level`"),
            ("lower", "number", "lower limit of lowest at `level`"),
            ("upper", "number", "upper limit of highest at `level`"),
            open=True,
        ),
        _schema(
            "gray_test",
            ("cause", "text", "the cause whose incidence is compared"),
            ("n_events", "integer", "churns of this cause among the rows at risk"),
            ("statistic", "number", "Gray's chi-square; null where groups cannot be compared"),
            ("df", "integer", "degrees of freedom"),
            ("p_value", "number", "that groups have the same incidence of this cause"),
            ("p_adjusted", "number", "adjusted for the number of causes (Holm)"),
        ),
        _schema(
            "gray_effects",
            ("cause", "text", "the cause whose incidence is compared"),
            ("group", "text", "the group"),
            ("reference", "text", "the group it is compared with"),
            ("hazard_ratio", "number", "subdistribution hazard ratio by Fine and Gray; null where there is none"),
            ("hr_lower", "number", "lower limit of the ratio"),
            ("hr_upper", "number", "upper limit of the ratio"),
            ("time", "number", "last day to which all groups were followed"),
            ("difference", "number", "incidence of the group less that of the reference on `time`, strata left aside"),
            ("lower", "number", "lower limit of the difference"),
            ("upper", "number", "upper limit of the difference"),
            ("note", "text", "why there is no ratio; else null"),
        ),
        _schema(
            "fine_gray",
            *_MODEL,
            ("hazard_ratio", "number", "exp(estimate): ratio of subdistribution hazards"),
            ("hr_lower", "number", "exp(lower)"),
            ("hr_upper", "number", "exp(upper)"),
        ),
        _schema(
            "predicted_incidence",
            ("user_id", "any", "the user; `row`, the position in the new data, where that has no user_id"),
            ("time", "number", "days since origin"),
            ("incidence", "number", "P(churned by `time`, for the cause of the fit) at the row's covariates"),
            *_INTERVAL,
        ),
        _schema(
            "churn_profile",
            *_PROFILE,
            ("difference_lower", "number", "lower limit of difference, as `limits` says; null where not compared"),
            ("difference_upper", "number", "upper limit of it"),
            ("risk_below", "number", "share of the users at or below the cut who churned by the horizon"),
            ("risk_above", "number", "share of the users above the cut who did"),
            ("risk_ratio", "number", "risk_below over risk_above; null where fewer than 5 are expected in a cell"),
            ("lower", "number", "lower limit of risk_ratio, as `limits` says"),
            ("upper", "number", "upper limit of it"),
            ("statistic", "number", "z of no difference at this cut; positive where those below churn more"),
            ("p_value", "number", "two-sided, of this cut alone"),
            ("search_p_value", "number", "chance of a |z| as large at any cut of the variable, without a difference"),
            ("adjusted_p_value", "number", "of the suggested cut: the former, adjusted over variables and groups"),
            ("suggested", "boolean", "true at the cut with the largest |z| of its variable and group"),
            open=True,
        ),
        _schema("churn_profile_spell", *_PROFILE, open=True),
        _schema(
            "table_one",
            ("group", "text", "as in churn_profile"),
            ("variable", "text", "the variable; '(users)' for their number"),
            ("statistic", "text", "users, mean, standard deviation, quartiles, share yes or share without a value"),
            ("churned", "number", "of the churned users"),
            ("retained", "number", "of the retained users"),
            ("standardised_difference", "number", "of means or shares, churned less retained, in standard deviations"),
            ("lower", "number", "lower limit of it at `level`, alone; null in the form over spells"),
            ("upper", "number", "upper limit of it"),
            open=True,
        ),
        _schema(
            "rule_sweep",
            ("idle_days", "integer", "the churn rule tried"),
            ("quantity", "text", "n_spells, churned, survival, median, hazard_ratio, return_share"),
            ("group", "text", "the group, the term of the model, or 'all'"),
            ("estimate", "number", "the figure"),
            *_INTERVAL,
            ("note", "text", "why there is no estimate under this rule; else null"),
        ),
        _schema(
            "cohort_bursts",
            ("start", "date", "first day of the burst"),
            ("end", "date", "last day of the burst"),
            ("unit", "text", "day: of days that stand out; week: a whole week stands out, with or without such days"),
            ("registrations", "integer", "users registered on its days"),
            ("expected", "number", "registrations that weekday and season lead one to expect"),
            ("excess", "number", "registrations less expected"),
            ("excess_lower", "number", "lower limit of the excess at `level`, chance of what would have come included"),
            ("excess_upper", "number", "upper limit of the excess"),
            ("ratio", "number", "registrations over expected"),
            ("p_value", "number", "smallest p-value of its days and weeks, each alone"),
            ("adjusted_p_value", "number", "smallest of them adjusted for the number of days and weeks"),
            ("event", "text", "events of the calendar near its days; null where there is none"),
            ("event_kind", "text", "kinds of these events"),
        ),
        _schema(
            "registrations_by_day",
            ("date", "date", "the day"),
            ("registrations", "integer", "users registered on it"),
            ("expected", "number", "by weekday and season, from the days that are no bursts"),
            ("lower", "number", "lower limit of the registrations of a day without burst, at `level`"),
            ("upper", "number", "upper limit of them"),
            ("p_value", "number", "so many or more registrations by chance; null where days were not asked about"),
            ("adjusted_p_value", "number", "adjusted for the number of days (and weeks)"),
            ("burst", "boolean", "true on the days of a burst"),
            ("reference", "boolean", "true on the days that the expectation is fitted on"),
        ),
        _schema(
            "registrations_by_week",
            ("start", "date", "first day of the week (Monday) inside the log"),
            ("end", "date", "last day of it"),
            ("n_days", "integer", "days that are judged together: without days that are bursts by themselves"),
            ("registrations", "integer", "users registered on them"),
            ("expected", "number", "by weekday and season, from the days that are no bursts"),
            ("p_value", "number", "so many or more registrations by chance; null where no day is left"),
            ("adjusted_p_value", "number", "adjusted for the number of weeks (and days)"),
            ("burst", "boolean", "true where the week is a burst"),
        ),
        _schema(
            "burst_groups",
            ("start", "date", "first day of the burst"),
            ("end", "date", "last day of the burst"),
            ("group", "text", "value of the `by` column; 'other' for small ones together"),
            ("registrations", "integer", "users of the group registered in the burst"),
            ("share", "number", "their share of the burst"),
            ("share_lower", "number", "lower limit of the share at `level` (Wilson)"),
            ("share_upper", "number", "upper limit of the share"),
            ("share_outside", "number", "share of the group among users registered outside bursts"),
        ),
        _schema(
            "channel_value",
            ("channel", "text", "value of the `by` column; 'other' for small ones together"),
            ("n_users", "integer", "users registered in the log"),
            ("n_followed", "integer", "users among them followed to the horizon"),
            ("cost_per_user", "number", "acquisition cost and rewards of a user; null where not known"),
            ("conversion", "number", "share with a first investment by the horizon, by Kaplan and Meier"),
            ("conversion_lower", "number", "lower limit of it at `level`"),
            ("conversion_upper", "number", "upper limit of it"),
            ("days_until_churn", "number", "mean days until churn in the first spell, at most the horizon"),
            ("days_until_churn_lower", "number", "lower limit of it at `level`"),
            ("days_until_churn_upper", "number", "upper limit of it"),
            ("active_days", "number", "mean number of days with activity from registration to the horizon"),
            ("active_days_lower", "number", "lower limit of it at `level`"),
            ("active_days_upper", "number", "upper limit of it"),
            ("margin", "number", "mean margin of a user from registration to the horizon; null without a margin"),
            ("margin_lower", "number", "lower limit of it at `level`"),
            ("margin_upper", "number", "upper limit of it"),
            ("value", "number", "margin less cost_per_user"),
            ("value_lower", "number", "lower limit of it at `level`"),
            ("value_upper", "number", "upper limit of it"),
            ("verdict", "text", "keep, watch or drop; null where there is no value"),
            ("sure", "number", "chance that the value exceeds what is asked for, by its normal law"),
        ),
        _schema(
            "churn_structure",
            ("variable", "text", "stage, or a column known at registration"),
            ("group", "text", "the stage, or the value of the column; 'other' for the small ones together"),
            ("n_users", "integer", "users of the group; of a stage, those who were ever in it (first spells)"),
            ("n_churned", "integer", "users whose first spell ended in churn; by the stage they left in"),
            ("share", "number", "share of all these churned users"),
            ("share_lower", "number", "lower limit of share (Wilson), together with the other groups of the variable"),
            ("share_upper", "number", "upper limit of share"),
        ),
        _schema(
            "churn_by_horizon",
            ("variable", "text", "as in churn_structure"),
            ("group", "text", "as in churn_structure"),
            ("horizon", "integer", "days since registration; for stages, days since the stage began"),
            ("churned", "number", "P(churned by then); for stages, out of this stage, moving on being the other end"),
            ("std_error", "number", "standard error of churned"),
            *_INTERVAL,
            ("n_at_risk", "integer", "users still at risk on the horizon"),
            ("n_followed_to", "integer", "users whose day of the horizon the log has reached, whatever became of them"),
        ),
        _schema(
            "stage_channel",
            ("stage", "text", "lifecycle stage"),
            ("channel", "text", "acquisition channel; 'other' for the small ones together, 'all' without channels"),
            ("n_users", "integer", "users of the channel who were ever in the stage (first spells)"),
            ("n_churned", "integer", "users whose first spell ended in churn out of this stage"),
            ("share", "number", "share of all churned users"),
            ("share_lower", "number", "lower limit of share (Wilson), together with all other cells"),
            ("share_upper", "number", "upper limit of share"),
            ("churned", "number", "P(churned out of this stage by the horizon of the table); null in small cells"),
            ("lower", "number", "lower limit of churned, each alone"),
            ("upper", "number", "upper limit of churned"),
            ("rank", "number", "1 for the channel that churns most in the stage; null where churned is"),
        ),
    )
}


def schema(name: str) -> Schema:
    """Return the layout of a public table.

    Parameters
    ----------
    name : str
        One of the keys of `churnsurv.tables.SCHEMAS`.

    Raises
    ------
    InputError
        If there is no such table; the nearest name is given.

    Examples
    --------
    >>> schema("quantiles").names
    ('group', 'probability', 'time', 'lower', 'upper')
    """
    if name not in SCHEMAS:
        raise InputError(f"There is no table {name!r}.{did_you_mean(name, SCHEMAS)} Tables: {', '.join(SCHEMAS)}.")
    return SCHEMAS[name]


def plain(value: Any) -> Any:
    """Turn numpy scalars, dates and missing values into what JSON can hold; floats keep 9 significant digits.

    Examples
    --------
    >>> plain({"a": float("nan"), "b": 1 / 3})
    {'a': None, 'b': 0.333333333}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if hasattr(value, "tolist") and not isinstance(value, (str, bytes)):
        return plain(value.tolist())
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return float(f"{value:.9g}") if math.isfinite(value) else None
    if type(value).__name__ in {"NAType", "NaTType"}:
        return None
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


class Result:
    """What every public result can do, given `table`, `_schema` and `_headline`.

    A result is a frozen dataclass with this mixin. It never changes, and showing it computes nothing new.
    """

    __slots__ = ()

    _schema: ClassVar[str]

    @property
    def table(self) -> pd.DataFrame:
        """A fresh tidy table; changing it changes nothing here."""
        raise TypeError(f"{type(self).__name__} must define table")

    def _headline(self) -> str:
        """One line with the numbers that matter, without the class name."""
        raise TypeError(f"{type(self).__name__} must define _headline")

    def _facts(self) -> dict[str, Any]:
        """What stands beside the table in JSON: rule, counts, level, method."""
        return {}

    def plot(self, ax: Axes | None = None) -> Axes:  # noqa: ARG002 - the signature that every plot has
        """Draw the table; see `churnsurv.plots`."""
        raise InputError(f"{type(self).__name__} has no plot; use its .table.")

    def to_json(self) -> str:
        """The result as JSON text: kind, schema version, facts, and the table by columns."""
        return json.dumps(self._to_plain(), ensure_ascii=False, allow_nan=False)

    def _to_plain(self) -> dict[str, Any]:
        table = self.table
        return {
            "kind": type(self).__name__,
            "schema": {"name": self._schema, "version": schema(self._schema).version},
            "facts": plain(self._facts()),
            "table": {str(name): plain(table[name].tolist()) for name in table.columns},
        }

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self._headline()}>"

    def _repr_html_(self) -> str:
        shown = self.table.head(60).to_html(index=False, border=0, na_rep="", escape=True)
        return f"<p>{html.escape(self._headline())}</p>{shown}"
