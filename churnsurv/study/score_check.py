"""What keeps the daily run of a study from running, before its day comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from churnsurv.errors import ChurnsurvError
from churnsurv.study.score import read_policy, read_scheme
from churnsurv.study.score_monitor import require_group
from churnsurv.study.side_tables import people_of, table_of

if TYPE_CHECKING:
    from churnsurv.study.study import Study

__all__ = ["daily_problems"]


def daily_problems(study: Study) -> Iterator[tuple[str, str]]:
    """Yield the key and what is wrong with it; nothing where the study has no daily run.

    Tiers that are not fitted yet are no problem, nor is a ledger that is not there: both are made.
    """
    config, base = study.config, study.base
    policy = scheme = None
    try:
        policy = read_policy(study)
    except ChurnsurvError as error:
        yield "score.policy", str(error)
    if (base / config.score_scheme).exists():
        try:
            scheme = read_scheme(study)
        except ChurnsurvError as error:
            yield "score.scheme", str(error)
    if scheme is not None and scheme.churn_rule != study.log.rule:
        what = f"the tiers in {config.score_scheme!r} were fitted under {scheme.churn_rule}, and the study has"
        yield "score.scheme", f"{what} {study.log.rule}. Fit them again: churnsurv tiers STUDY."
    elif policy is not None and scheme is not None:
        names = [tier.name for tier in scheme.tiers]
        missing = [name for name in policy.tiers if name not in names]
        if missing:
            yield "score.policy", f"has contacts for {missing[0]!r}; the tiers are {', '.join(names)}."
    readers: dict[str, Callable[[], object]] = {
        "opt_outs": lambda: people_of("opt_outs", config, base, study.log.engine),
        "responses": lambda: people_of("responses", config, base, study.log.engine),
        "margins": lambda: table_of("margins", config, base, study.log.engine),
        "scores": lambda: table_of("scores", config, base, study.log.engine),
    }
    try:
        require_group(study, study.log)
    except ChurnsurvError as error:
        yield "score.monitor.by", str(error)
    for name, reader in readers.items():
        try:
            reader()
        except ChurnsurvError as error:
            yield f"sources.{name}", str(error)
