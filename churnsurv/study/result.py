"""The result of a study: every table of it, what it was made from, and its report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from churnsurv.tables.html import as_html

if TYPE_CHECKING:
    from churnsurv.data import ActivityLog, Check, Spells
    from churnsurv.diagnosis import RuleSweep
    from churnsurv.study.config import StudyConfig
    from churnsurv.study.recall import Campaigns
    from churnsurv.study.warn import ThresholdsAndTiers
    from churnsurv.study.who import WhoChurns
    from churnsurv.study.why import WhyTheyLeave
    from churnsurv.survival import CoxFit, SurvivalCurves, TestResult

__all__ = ["StudyResult"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class StudyResult:
    """Everything that a study found. Made by `Study.run`.

    Attributes
    ----------
    log : ActivityLog
    check : Check
        What is wrong with the tables, short of an error.
    spells : Spells
        First spells under the study's rule.
    curves : mapping of str to SurvivalCurves
        Kaplan-Meier curves: "all", then one entry for each column of `groups.by`.
    tests : mapping of str to TestResult
        Log-rank tests by the same columns.
    cox : CoxFit or None
        None where the study has no formula.
    sweep : RuleSweep or None
        The same under other churn rules; None where the study has no sensitivity list.
    who : WhoChurns
        Stages, structure, profiles, bursts of registrations and the value of channels, each None where it was not
        asked for or cannot be told; `who.absent` has the reasons.
    why : WhyTheyLeave
        Reasons, problems, returns watched day by day and effects of dates, in the same way.
    warning : ThresholdsAndTiers
        Idle risk, by group too, warning tiers, and how they do on later days, in the same way.
    campaigns : Campaigns
        What campaigns brought back, in the same way.
    config : StudyConfig
    provenance : mapping
        Versions and hashes.
    notes : tuple of str
        What a reader must know about the figures, and what is absent.
    """

    log: ActivityLog
    check: Check
    spells: Spells
    curves: Mapping[str, SurvivalCurves]
    tests: Mapping[str, TestResult]
    cox: CoxFit | None
    sweep: RuleSweep | None
    who: WhoChurns
    why: WhyTheyLeave
    warning: ThresholdsAndTiers
    campaigns: Campaigns
    config: StudyConfig
    provenance: Mapping[str, Any]
    notes: tuple[str, ...]

    def __post_init__(self) -> None:
        for name in ("curves", "tests", "provenance"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    def report(
        self,
        folder: str | Path,
        *,
        formats: Sequence[str] | str = ("html",),
        lang: str = "en",
        sections: Sequence[str] | str | None = None,
        progress: bool = False,
    ) -> Path:
        """Write the report into a folder.

        Parameters
        ----------
        folder : str or Path
            Made where it is not there; a report already in it is replaced whole.
        formats : sequence of {"html", "pdf"}
            The PDF needs the extra `pdf`: ``pip install "churnsurv[pdf]"``.
        lang : {"en", "zh-Hant"}
            Language of the report.
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
        InputError
            If there is no such format, language or section, typst is missing, or the folder cannot be replaced.
        """
        from churnsurv.study.reporting import write_report

        return write_report(self, Path(folder), formats=formats, lang=lang, sections=sections, progress=progress).page

    @property
    def findings(self) -> tuple[str, ...]:
        """The answers in a few sentences: the summary of the report."""
        from churnsurv.study.reporting import to_report

        lang = self.config.lang
        return tuple(sentence.quoted(lang) for sentence in to_report(self, lang=lang).summary)

    def __repr__(self) -> str:
        return f"<StudyResult: {self.config.title}; {self.spells._headline()}>"

    def _repr_html_(self) -> str:
        return as_html(self.config.title, notes=self.findings)
