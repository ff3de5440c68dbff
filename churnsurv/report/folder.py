"""A report as a folder, written whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from churnsurv.report.figures import drawings, figure_csv, on_paper
from churnsurv.report.model import Report
from churnsurv.report.render import render_html
from churnsurv.report.section_method import versions
from churnsurv.report.whole_folder import MANIFEST, Contents, check_target, manifest, write_whole

__all__ = ["MANIFEST", "write"]

PAGE = "report.html"
_REPORT = Contents("churnsurv report", "a report", "the report")


def write(report: Report, folder: str | Path) -> Path:
    """Write a report into a folder: `report.html, result.json, figures/*.csv, figures/*.svg, manifest.json`.

    If anything fails, or the run is killed, the folder is as it was before; see `whole_folder.write_whole`.

    Parameters
    ----------
    report : Report
    folder : str or Path
        Made where it is not there. A folder that is there is replaced only if it is empty or holds a report of ours
        and nothing else.

    Returns
    -------
    Path
        The page to open.

    Raises
    ------
    InputError
        If the folder can't be replaced or written: what stands in the way, and what to do.

    Examples
    --------
    >>> import tempfile
    >>> from churnsurv.report import build
    >>> with tempfile.TemporaryDirectory() as here:
    ...     page = write(build(title="Churn"), Path(here) / "report")
    ...     sorted(path.name for path in page.parent.iterdir())
    ['manifest.json', 'report.html', 'result.json']
    """
    check_target(Path(folder).expanduser().resolve(), _REPORT)  # before the figures are drawn
    files = _files(report)
    files[MANIFEST] = _manifest(report, files)
    return write_whole(folder, files, _REPORT) / PAGE


def _files(report: Report) -> dict[str, bytes]:
    """Every file but the manifest, in order of name."""
    drawn = {figure.name: drawings(figure) for figure in report.figures}
    files = {PAGE: render_html(report, drawn), "result.json": report.to_json() + "\n"}
    for figure in report.figures:
        files[figure.data_file] = figure_csv(figure)
        files |= {f"figures/{each.name}.svg": on_paper(each) for each in drawn[figure.name]}
    return {name: files[name].encode("utf-8", errors="replace") for name in sorted(files)}


def _manifest(report: Report, files: Mapping[str, bytes]) -> bytes:
    given = report.provenance
    facts = {
        "title": report.title,
        "lang": report.lang,
        "versions": versions(given),
        "seed": given.get("seed"),
        "inputs": given.get("inputs") or {},
    }
    return manifest(_REPORT, facts, files)
