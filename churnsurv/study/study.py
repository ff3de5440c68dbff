"""A study: what a study file says, opened on its tables, checked and run."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from churnsurv.errors import InputError
from churnsurv.study.config import StudyConfig
from churnsurv.study.config_checks import Problem
from churnsurv.study.config_reading import read_config

if TYPE_CHECKING:
    from churnsurv.data import ActivityLog, Check, Spells
    from churnsurv.study.result import StudyResult
    from churnsurv.study.score import Score

__all__ = ["Study", "read_study"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Study:
    r"""What to study, as a study file says it (`churnsurv.study.config` has the format). Made by `Study.from_toml`.

    Attributes
    ----------
    config : StudyConfig
        The settings, defaults filled in.
    base : Path
        Folder that relative paths in the file start from.
    text : str
        The file as it stands.
    overrides : mapping
        Values set beside the file.

    Examples
    --------
    >>> import tempfile
    >>> import churnsurv as ch
    >>> with tempfile.TemporaryDirectory() as here:
    ...     folder = ch.simulate_app(300).write(here)
    ...     file = folder / "study.toml"
    ...     _ = file.write_text("[sources]\nevents = 'events.parquet'\nusers = 'users.parquet'\n")
    ...     study = ch.Study.from_toml(file, {"groups.by": ["channel"], "rule.sensitivity": []})
    ...     result = study.run()
    >>> study
    <Study: Churn study; 30 idle days, by channel>
    >>> list(result.curves), result.check.ok
    (['all', 'channel'], True)
    """

    config: StudyConfig
    base: Path
    text: str
    overrides: Mapping[str, object]
    _made: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_toml(cls, path: str | Path, overrides: Mapping[str, object] | None = None) -> Study:
        """Read a study file.

        Parameters
        ----------
        path : str or Path
        overrides : mapping, optional
            Values that replace those of the file, by dotted key: ``{"rule.idle_days": 45}``.

        Raises
        ------
        InputError
            If the file is missing, is not TOML, or has problems: all of them are listed.
        """
        study, problems = read_study(path, overrides)
        if problems:
            lines = "\n".join(f"  {problem.where}: {problem.what}" for problem in problems)
            count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
            raise InputError(f"{Path(path).name} has {count}:\n{lines}")
        return study

    @property
    def folder(self) -> Path:
        """Where the report goes unless another place is named."""
        return self.base / self.config.folder

    @property
    def log(self) -> ActivityLog:
        """The log of the study's tables under its rule, clock and window; nothing is read before it is asked."""
        if "log" not in self._made:
            self._made["log"] = _open_log(self.config, self.base)
        log: ActivityLog = self._made["log"]
        return log

    @property
    def spells(self) -> Spells:
        """First spells under the study's rule, computed once."""
        if "spells" not in self._made:
            self._made["spells"] = self.log.churn_spells()
        spells: Spells = self._made["spells"]
        return spells

    def check(self) -> Check:
        """List every problem of the study's tables, and of what the study asks of them, at once."""
        from churnsurv.study.check import check_tables

        return check_tables(self)

    def run(self, progress: bool = False) -> StudyResult:
        """Compute everything that the study asks for.

        Parameters
        ----------
        progress : bool
            Show a progress bar on a terminal.

        Returns
        -------
        StudyResult

        Raises
        ------
        ChurnsurvError
            If the tables have errors, nobody churned, a group has one value only, or the model cannot be fitted.
        """
        from churnsurv.study.run import run_study

        return run_study(self, progress=progress)

    def report(
        self,
        folder: str | Path | None = None,
        *,
        formats: Sequence[str] | str | None = None,
        lang: str | None = None,
        sections: Sequence[str] | str | None = None,
        progress: bool = False,
    ) -> Path:
        """Run the study and write its report.

        Parameters
        ----------
        folder : str or Path, optional
            By default `study.folder`; with `sections`, the folder beside it whose name ends in "-part". A report
            already in it is replaced whole.
        formats : sequence of {"html", "pdf"}, optional
            By default `report.formats` of the study.
        lang : {"en", "zh-Hant"}, optional
            By default `study.lang`.
        sections : sequence of str, optional
            Only these sections, by id or by its beginning: ``["warning", "why"]``. Pages and manifest say that they are
            a part.
        progress : bool
            Show a progress bar on a terminal.

        Returns
        -------
        Path
            The page to open: that of the first format.

        Raises
        ------
        ChurnsurvError
            As `run` does; before it runs, if a format, a language or a section is unknown, typst is
            missing, or the folder cannot be replaced.
        """
        from churnsurv.study.reporting import report_study

        return report_study(self, folder, formats=formats, lang=lang, sections=sections, progress=progress).page

    def fit_tiers(self, until: date | str | None = None, output: str | Path | None = None) -> Path:
        """Fit the warning tiers to what was known at the end of a day, and save them for the daily run.

        Parameters
        ----------
        until : date or ISO text, optional
            By default the end of the log.
        output : path, optional
            By default `score.scheme` of the study.

        Returns
        -------
        Path
            Of the file.

        Raises
        ------
        InputError
            If the study has no tiers, or the log cannot tell them.
        """
        from churnsurv.study.score import fit_study_tiers

        return fit_study_tiers(self, until=until, output=output)[1]

    def score(self, as_of: date | str, *, dry_run: bool = False, progress: bool = False) -> Score:
        """Run a day: is it there in full, who is warned about, what is planned; record it, and write it for others.

        Parameters
        ----------
        as_of : date or ISO text
            The day at whose end everything is as it was known. It may be later than `window.observed_until`.
        dry_run : bool
            Record nothing; the files go into a folder `dry-run` beside the others.
        progress : bool
            Show a progress bar on a terminal.

        Returns
        -------
        Score
            Files stand in ``score.folder``: `alerts/as_of=DAY/`, with a policy `plan/as_of=DAY/`, and where returns
            are watched `monitor/as_of=DAY/`. The same day run again gives the same bytes, and a recorded day keeps its
            files whatever has changed. A day before the last one recorded, or more than `score.late` days before the
            end of the log, is a dry run by itself.

        Raises
        ------
        DataNotReadyError
            If the data of the day are not there in full, or another process has the ledger open or was faster.
        InputError
            If a file of the daily run is missing or wrong, the ledger does not know contacts that were handed over, or
            contacts of another campaign would be replaced.
        """
        from churnsurv.study.score import score_study

        return score_study(self, as_of, dry_run=dry_run, progress=progress)

    def __repr__(self) -> str:
        config = self.config
        groups = f", by {', '.join(config.by)}" if config.by else ""
        model = f", Cox: {config.formula}" if config.formula else ""
        return f"<Study: {config.title}; {config.idle_days} idle days{groups}{model}>"


def read_study(path: str | Path, overrides: Mapping[str, object] | None = None) -> tuple[Study, list[Problem]]:
    """Read a study file with everything that is wrong with it.

    Raises
    ------
    InputError
        If the file is missing or is not TOML.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
        document = tomllib.loads(text)
    except FileNotFoundError:
        raise InputError(f"There is no study file {str(path)!r}. `churnsurv init EVENTS USERS` writes one.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"The study file {str(path)!r} cannot be read: {error}. It must be a text file in UTF-8."
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise InputError(
            f"{path.name} is not TOML: {error}. Texts stand in quotes, lists in [ ], Windows paths in single quotes."
        ) from error
    config, problems = read_config(document, overrides)
    return Study(config, path.absolute().parent, text, dict(overrides or {})), problems


def _open_log(config: StudyConfig, base: Path) -> ActivityLog:
    from churnsurv.data import ActivityLog, ChurnRule, Stages
    from churnsurv.data.propose import engine_in, require_one_file
    from churnsurv.study.config_sections import LOG_TABLES

    engine = engine_in(base)
    sources = {name: source for name, source in config.sources.items() if name in LOG_TABLES}
    for source in sources.values():
        if source.sql is not None:
            require_one_file(source.sql, base)
    tables = {
        name: engine.sql(source.sql) if source.sql is not None else _located(str(source.path), base)
        for name, source in sources.items()
    }
    stages = Stages(config.stages_by, config.stages_starts) if config.stages_starts else None
    return ActivityLog(
        tables["events"],
        tables["users"],
        balances=tables.get("balances"),
        feedback=tables.get("feedback"),
        rule=ChurnRule(config.idle_days, config.activity),
        stages=stages,
        timestamps=config.timestamps,
        time_zone=config.time_zone,
        observed_from=config.observed_from,
        observed_until=config.observed_until,
        columns={name: pairs for name, pairs in config.columns.items() if name in LOG_TABLES},
        engine=engine,
    )


def _located(path: str, base: Path) -> str:
    return path if "://" in path else str(base / path)
