"""A report as a folder, written whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from churnsurv.errors import InputError, did_you_mean
from churnsurv.report.figures import drawings, figure_csv, on_paper
from churnsurv.report.model import Report, require_sound
from churnsurv.report.pdf import render_pdf, require_typst
from churnsurv.report.render import render_html
from churnsurv.report.section_method import versions
from churnsurv.report.whole_folder import MANIFEST, Contents, check_target, manifest, write_whole

__all__ = ["FORMATS", "MANIFEST", "require_formats", "require_place", "write"]

#: What a report can be written as, and the file of each.
FORMATS: Mapping[str, str] = MappingProxyType({"html": "report.html", "pdf": "report.pdf"})
_REPORT = Contents("churnsurv report", "a report", "the report")


def write(report: Report, folder: str | Path, formats: Sequence[str] | str = ("html",)) -> Path:
    """Write a report into a folder: its pages, `result.json, figures/*.csv, figures/*.svg, manifest.json`.

    If anything fails, or the run is killed, the folder is as it was before; see `whole_folder.write_whole`.

    Parameters
    ----------
    report : Report
    folder : str or Path
        Made where it is not there. A folder that is there is replaced only if it is empty or holds a report of ours
        and nothing else.
    formats : sequence of {"html", "pdf"}, or one of them
        Which pages: `report.html`, `report.pdf`.

    Returns
    -------
    Path
        The page to open: that of the first format.

    Raises
    ------
    InputError
        If the folder can't be replaced or written: what stands in the way, and what to do. If there is no such format,
        or what it needs is not installed. If the report was made by hand and its parts do not fit; see
        `model.require_sound`.

    Examples
    --------
    >>> import tempfile
    >>> from churnsurv.report import build
    >>> with tempfile.TemporaryDirectory() as here:
    ...     page = write(build(title="Churn"), Path(here) / "report")
    ...     sorted(path.name for path in page.parent.iterdir())
    ['manifest.json', 'report.html', 'result.json']
    """
    chosen = require_formats(formats)
    require_place(folder)  # before the figures are drawn
    require_sound(report)
    files = _files(report, chosen)
    files[MANIFEST] = _manifest(report, chosen, files)
    return write_whole(folder, files, _REPORT) / FORMATS[chosen[0]]


def require_place(folder: str | Path) -> None:
    """Refuse a folder that a report may not replace.

    Raises
    ------
    InputError
        That names what stands in the way.
    """
    check_target(Path(folder).expanduser().resolve(), _REPORT)


def require_formats(formats: Sequence[str] | str) -> tuple[str, ...]:
    """Return the formats, each once; refuse those that there are not, and those whose package is not installed.

    Raises
    ------
    InputError
    """
    if formats is None or not isinstance(formats, Iterable):
        raise InputError(f"formats must be a list of formats, not {formats!r}. Formats: {', '.join(FORMATS)}.")
    formats = tuple(dict.fromkeys([formats] if isinstance(formats, str) else formats))
    for name in formats:
        if name not in FORMATS:
            raise InputError(
                f"There is no format {name!r}.{did_you_mean(str(name), FORMATS)} Formats: {', '.join(FORMATS)}."
            )
    if not formats:
        raise InputError(f"formats is empty. Formats: {', '.join(FORMATS)}.")
    if "pdf" in formats:
        require_typst()
    return formats


def _files(report: Report, formats: Sequence[str]) -> dict[str, bytes]:
    """Every file but the manifest, in order of name."""
    drawn = {figure.name: drawings(figure) for figure in report.figures}
    texts = {"result.json": report.to_json() + "\n"}
    if "html" in formats:
        texts[FORMATS["html"]] = render_html(report, drawn)
    for figure in report.figures:
        texts[figure.data_file] = figure_csv(figure)
        texts |= {f"figures/{each.name}.svg": on_paper(each) for each in drawn[figure.name]}
    files = {name: text.encode("utf-8", errors="replace") for name, text in texts.items()}
    if "pdf" in formats:
        files[FORMATS["pdf"]] = render_pdf(report, drawn)
    return dict(sorted(files.items()))


def _manifest(report: Report, formats: Sequence[str], files: Mapping[str, bytes]) -> bytes:
    given = report.provenance
    facts = {
        "title": report.title,
        "lang": report.lang,
        "formats": list(formats),
        "sections": (given.get("report") or {}).get("sections"),  # null: all that there are
        "versions": versions(given),
        "seed": given.get("seed"),
        "inputs": given.get("inputs") or {},
    }
    return manifest(_REPORT, facts, files)
