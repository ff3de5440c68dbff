"""From two files to a study file that runs as it is: what was found, why, and how the churn rule would cut."""

from __future__ import annotations

import os
import re
import textwrap
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from churnsurv.errors import ChurnsurvError, InputError
from churnsurv.study.config_reading import read_config
from churnsurv.study.progress import stages
from churnsurv.study.text import bar, toml, write_text

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.data import Spells
    from churnsurv.data.propose import Proposal
    from churnsurv.study.study import Study

__all__ = ["Started", "init_study", "returns_by_idle_day"]

IDLE_DAYS = (3, 7, 10, 14, 21, 30, 45, 60, 90)
LOOK_AHEAD = 90
RULES = (30, 21, 14, 7)
SENSITIVITY = (14, 21, 30, 45, 60)

WHO_LINES = """
[who_churns]                         # stages, channels, behaviour, bursts of registrations; on = false: none of it
horizons = [30, 90, 180]             # churn within so many days
window = 30                          # churned and retained are compared on what they did in these first days
profile_horizon = 180                # the churned: by this day
min_users = 30                       # smaller groups are pooled
# margin = { active_day = 0.5 }        # with costs: what a user brings for each active day, or for each unit held a day

[why]                                # why they leave: reasons, problems, returns day by day; on = false: none of it
# by = "channel"                       # by default the first of groups.by
# problems = ["crash", "lag"]          # kinds of events; by default crash, lag and complaint, where the log has them

[warning]                            # how likely the silent churn; on = false: none of it
# by = { balance = [100, 1000, 10000] }   # by default by the first of groups.by
# missing = { balance = 0 }            # what stands in where a variable of the rules has no value

# A warning tier needs a purpose; no threshold is better than another without one. One or more of these, highest first:
# [warning.tiers.high]
# saved_value = 100                    # what a user saved is worth, what a contact costs, and how many it saves when
# contact_cost = 5
# saving = { shape = "plateau", top = 0.3, middle = 20, width = 3 }
# [warning.tiers.medium]
# precision = 0.6
# [warning.tiers.low]
# per_day = 140
# [warning.backtest]                   # how the tiers do on days that they had not seen
# origins = 4
# test_days = 90

# What a campaign brought back: sources.assignments (user_id, campaign, arm, assigned_at), and
# [campaigns]
# control = "holdout"                  # the arm without a contact
# horizon = 30                         # days, the assignment's being the first

# The daily run: churnsurv tiers STUDY once, then churnsurv score STUDY --as-of DAY every day. Alerts need nothing more
# than tiers; contacts need a policy, sources.opt_outs (user_id, perhaps channel) and
# [score]
# policy = "policy.toml"
# ledger = "contacts.duckdb"

# Campaigns and holidays, to match with bursts of registrations; one such section for each. What entries of the kind
# shock, news or outage did to returns is looked at:
# [[calendar]]
# name = "spring"
# kind = "campaign"
# first = 2024-05-20
# last = 2024-05-26
"""

Evidence = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Started:
    """A new study file and what to tell about it: the evidence for each choice, and the chart of returns."""

    path: Path
    evidence: Evidence
    chart: tuple[str, ...]


def init_study(
    events: str | Path, users: str | Path, output: str | Path = "study.toml", *, progress: bool = False
) -> Started:
    """Look at two files and write a study file for them.

    Parameters
    ----------
    events, users : str or Path
        Parquet or CSV files, or globs of them.
    output : str or Path
        The study file to write.
    progress : bool
        Show a progress bar on a terminal.

    Returns
    -------
    Started

    Raises
    ------
    InputError
        If the output is there already, or the files cannot be read as a log.
    """
    from churnsurv.data.propose import propose_study

    path = Path(output)
    if path.exists():
        raise InputError(f"{str(path)!r} is there already. Choose another name with --output, or move it away.")
    files = {"events": events, "users": users}
    with stages(("look at the files", "try the study"), progress=progress) as stage:
        stage()
        proposal = propose_study(events, users)
        look_ahead = min(LOOK_AHEAD, max(int(proposal.gaps["duration"].max()) // 3, 1))
        chart = _chart(returns_by_idle_day(proposal.gaps, IDLE_DAYS, look_ahead), look_ahead)
        stage()
        draft = _settled(_Draft(proposal, {name: _whole_path(file) for name, file in files.items()}, chart))
    write_text(
        path, _study_text(replace(draft, sources={name: _seen_from(path, file) for name, file in files.items()}))
    )
    return Started(path, (*proposal.evidence, *draft.evidence), chart)


def returns_by_idle_day(gaps: pd.DataFrame, idle_days: Sequence[int], look_ahead: int) -> pd.DataFrame:
    """Share of gaps that, having reached d idle days, end in a return within the next days.

    Parameters
    ----------
    gaps : DataFrame
        `duration, returned, n`: lengths of gaps between active days with their numbers.
    idle_days : sequence of int
    look_ahead : int
        Days.

    Returns
    -------
    DataFrame
        `idle_days, reached` (gaps of which it is known that they reached the day), `share`: 1 - S(d + look_ahead) /
        S(d) from Kaplan-Meier, so that a gap which the log cuts off counts as long as it is seen. Null where no gap is
        followed to day d + look_ahead.

    Examples
    --------
    >>> import pandas as pd
    >>> gaps = pd.DataFrame({"duration": [2, 8, 20], "returned": [True, True, False], "n": [5, 3, 2]})
    >>> returns_by_idle_day(gaps, [1, 5], 10).share.tolist()
    [0.8, 0.6]
    """
    import numpy as np
    import pandas as pd

    longest = int(gaps["duration"].max())
    returned = gaps[gaps["returned"]]
    events = np.bincount(returned["duration"], weights=returned["n"], minlength=longest + 1)
    ends = np.bincount(gaps["duration"], weights=gaps["n"], minlength=longest + 1)
    at_risk = ends.sum() - np.concatenate([[0.0], np.cumsum(ends)[:-1]])
    survival = np.cumprod(1 - events / np.maximum(at_risk, 1.0))
    rows = []
    for day in idle_days:
        reached = at_risk[day] - events[day] if day <= longest else 0.0
        seen = day + look_ahead <= longest and survival[day] > 0
        share = 1 - survival[day + look_ahead] / survival[day] if seen else float("nan")
        rows.append({"idle_days": day, "reached": int(reached), "share": float(share)})
    return pd.DataFrame(rows)


def _chart(table: pd.DataFrame, look_ahead: int) -> tuple[str, ...]:
    lines = [f"Of the gaps that reached so many idle days, the share active again within the next {look_ahead} days:"]
    known = table[table["share"].notna()].to_dict("records")
    lines += [
        f"{row['idle_days']:>5} idle days {row['reached']:>12,} gaps  {bar(row['share'])} {row['share']:>4.0%}"
        for row in known
    ]
    return tuple(lines) if known else (*lines, "  the log is too short to tell")


@dataclass(frozen=True, slots=True, eq=False)
class _Draft:
    """What the study file will say; settings are tried on the data, so that the file runs as it is."""

    proposal: Proposal
    sources: Mapping[str, str]
    chart: tuple[str, ...]
    idle_days: int = RULES[0]
    by: tuple[str, ...] = ()
    formula: str | None = None
    reference: Mapping[str, str] = field(default_factory=dict)
    evidence: Evidence = ()


def _settled(draft: _Draft) -> _Draft:
    """Choose the rule under which somebody churns, groups with more than one value, and a model that can be fitted."""
    from churnsurv.study.run import fit_model, gather_notes

    draft, study, spells = _with_rule(draft)
    table = spells.table
    attributes = [name for name in draft.proposal.groups if _varies(table[name])]
    cohorts = ["cohort"] if _varies(table["cohort"]) else []
    draft = replace(draft, by=(*attributes[:1], *cohorts))
    attributes = [name for name in attributes if re.fullmatch(r"[^\W\d]\w*", name)]
    for names in (attributes, attributes[:1]):
        if not names:
            break
        reference = {name: str(table[name].mode().iloc[0]) for name in names}
        tried = replace(draft, formula=" + ".join(names), reference=reference)
        try:
            with gather_notes() as notes:
                fit_model(study.log, spells, _study_of(_study_text(tried)).config)
        except ChurnsurvError as error:
            draft = replace(draft, evidence=(*draft.evidence, ("Cox model", f"not {tried.formula!r}: {error}")))
        else:
            return replace(tried, evidence=(*tried.evidence, *(("Cox model", note) for note in notes)))
    return draft


def _varies(column: pd.Series) -> bool:
    return len(column.drop_duplicates()) > 1


def _with_rule(draft: _Draft) -> tuple[_Draft, Study, Spells]:
    from churnsurv.study.run import some_churned

    fault: ChurnsurvError | None = None
    for idle_days in RULES:
        tried = replace(draft, idle_days=idle_days)
        study = _study_of(_study_text(tried))
        try:
            spells = some_churned(study.log.churn_spells())
        except ChurnsurvError as error:
            fault = fault or error
            continue
        if fault is not None:
            tried = replace(tried, evidence=(("idle_days", f"{idle_days}; nobody churned under longer rules"),))
        return tried, study, spells
    raise fault or InputError("There is no churn rule to try.")


def _study_of(text: str) -> Study:
    from churnsurv.study.study import Study

    config, problems = read_config(tomllib.loads(text))
    if problems:
        raise AssertionError(f"init wrote a study file with problems: {problems}")
    return Study(config, Path(), text, {})


def _whole_path(file: str | Path) -> str:
    return str(file) if "://" in str(file) else str(Path(file).absolute())


def _seen_from(path: Path, file: str | Path) -> str:
    """The file as the study file names it: relative where both lie on one drive."""
    if "://" in str(file):
        return str(file)
    try:
        return Path(os.path.relpath(file, path.absolute().parent)).as_posix()
    except ValueError:
        return Path(file).absolute().as_posix()


def _study_text(draft: _Draft) -> str:
    proposal = draft.proposal
    said = [*proposal.evidence, *draft.evidence]

    def because(*topics: str) -> str:
        return "".join(_comment(f"{topic}: {why}") for topic, why in said if topic in topics)

    since = "" if proposal.observed_from is None else f"observed_from = {proposal.observed_from}\n"
    lines = [
        _comment("Written by `churnsurv init`. Each choice is a proposal with its evidence: change what is wrong."),
        _comment("Try it with `churnsurv check`, run it with `churnsurv report`, each with the name of this file."),
        '\n[study]\ntitle = "Churn study"\nlang = "en"\n',
        'folder = "report"                    # where the report goes, beside this file\n',
        f"\n[sources]\n{because('events', 'users')}",
        *(f"{name} = {toml(source)}\n" for name, source in draft.sources.items()),
        _comment("A source can be a query: users = { sql = \"SELECT * FROM 'users.parquet' WHERE NOT test\" }"),
        '# balances = "balances.csv"           # user_id, date, balance\n',
        '# feedback = "feedback.csv"           # user_id, date, reason: why users left, as far as they said so\n',
        '# costs = "costs.csv"                 # what users cost: channel, and cost_per_user or amount\n',
        *_column_lines(proposal, because),
        f"\n[window]\n{because('observed_from', 'observed_until')}{since}",
        f"observed_until = {proposal.observed_until}\n",
        '\n[clock]\ntimestamps = "UTC"                   # what a time without zone means\n',
        'time_zone = "UTC"                    # whose midnight ends a day, such as "Asia/Shanghai"\n',
        *_rule_lines(draft, because),
        *_model_lines(draft, because),
        WHO_LINES,
        "\n[report]\nhorizon = 90                         # days\nlevel = 0.95\n",
    ]
    return "".join(lines)


def _comment(text: str) -> str:
    lines = textwrap.wrap(text, 108, break_long_words=False, break_on_hyphens=False)
    return "".join(f"# {line}\n" for line in lines)


def _column_lines(proposal: Proposal, because: Callable[..., str]) -> Iterator[str]:
    topics = {"events": ("user_id", "event_at", "kind", "amount", "product"), "users": ("registered_at",)}
    for table, names in topics.items():
        yield f'\n[columns.{table}]                      # ours = "theirs"\n{because(*names)}'
        yield from (f"{ours} = {toml(theirs)}\n" for ours, theirs in proposal.columns[table].items())


def _rule_lines(draft: _Draft, because: Callable[..., str]) -> Iterator[str]:
    kinds = draft.proposal.kinds
    listed = '"all"' if kinds is None else f"[{', '.join(map(toml, kinds))}]"
    days = sorted({*SENSITIVITY, draft.idle_days})
    yield f"\n[rule]\n{because('activity', 'idle_days')}"
    yield from (f"# {line}\n" for line in draft.chart)
    yield f"idle_days = {draft.idle_days}\nactivity = {listed}\n"
    yield f"sensitivity = {days}   # the same answers under these rules\n"


def _model_lines(draft: _Draft, because: Callable[..., str]) -> Iterator[str]:
    yield f"\n[groups]\n{because('groups')}by = [{', '.join(map(toml, draft.by))}]\n"
    yield f"\n[cox]\n{because('Cox model')}"
    if draft.formula is None:
        yield '# formula = "channel"\n'
        return
    pairs = ", ".join(f"{name} = {toml(category)}" for name, category in draft.reference.items())
    yield f"formula = {toml(draft.formula)}\nreference = {{ {pairs} }}   # the most frequent categories\n"
    yield '# features = ["n_investments"]       # behaviour, as known at the end of a day after registration\n'
    yield "# baseline_day = 30\n"
