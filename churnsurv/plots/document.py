"""A figure as SVG text: the same bytes for the same figure, text as text, colours that follow the page."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from churnsurv.plots.colours import DARK
from churnsurv.plots.style import Frame
from churnsurv.plots.text import text_stays_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["FONTS", "svg", "themed"]

# What a viewer may have, Latin first, then Chinese: any one that is there serves.
FONTS = (
    "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'Noto Sans', 'PingFang TC', "
    "'Microsoft JhengHei', 'Noto Sans CJK TC', 'Noto Sans TC', 'PingFang SC', 'Microsoft YaHei', sans-serif"
)
_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"
_HEXES = re.compile(r"#[0-9a-f]{6}\b", re.IGNORECASE)
_NUMBER = re.compile(r"-?\d+\.\d{3,}")


def svg(frame: Frame, draw: Callable[[Axes], Any]) -> str:
    """Draw into a frame and return the SVG document.

    Parameters
    ----------
    frame : Frame
    draw : callable
        Takes the Axes and draws on it.

    Examples
    --------
    >>> text = svg(Frame(200, 100, 20, 10, 10, 20), lambda ax: ax.plot([0, 1], [1, 0]))
    >>> text[:4], "DOCTYPE" in text
    ('<svg', False)
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    buffer = io.BytesIO()
    settings: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "churnsurv"}
    with mpl.rc_context(settings), text_stays_text(), warnings.catch_warnings():
        # Text is only measured here; the viewer's fonts draw it, so that a glyph missing on this machine is no fault.
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .* missing from", category=UserWarning)
        figure = Figure()
        FigureCanvasSVG(figure)
        figure.patch.set_visible(False)
        ax = frame.place(figure)
        ax.patch.set_visible(False)
        draw(ax)
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return _cleaned(buffer.getvalue())


def _cleaned(document: bytes) -> str:
    """The document without preamble and metadata, with short numbers and the font list of all viewers."""
    root = ElementTree.fromstring(document)  # noqa: S314  # written by matplotlib just now
    for element in root.findall(f"{{{_SVG}}}metadata"):
        root.remove(element)
    root.set("font-family", FONTS)
    for element in root.iter():
        style = element.get("style")
        if style is not None and element.tag == f"{{{_SVG}}}text":
            parts = (part.strip() for part in re.split(r";(?=(?:[^']*'[^']*')*[^']*$)", style))
            element.set("style", "; ".join(part for part in parts if not part.startswith("font-family")))
        for name in ("d", "x", "y", "transform", "points"):
            value = element.get(name)
            if value is not None:
                element.set(name, _NUMBER.sub(_short, value).replace("\n", ""))
    return _text(root)


def _short(found: re.Match[str]) -> str:
    return f"{float(found[0]):.2f}".rstrip("0").rstrip(".")


def _text(root: ElementTree.Element) -> str:
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", _XLINK)
    for element in root.iter():
        if element.tag != f"{{{_SVG}}}text":
            element.text = (element.text or "").strip() or None
        element.tail = None
    return ElementTree.tostring(root, encoding="unicode")


def themed(document: str, *, prefix: str, label: str) -> str:
    """Return an SVG for the inside of a page: ids with a prefix, colours as CSS variables, a label for readers.

    The variables are `--fig-` and the six digits of the colour; without them the colours are those of white paper.

    Parameters
    ----------
    document : str
        What `svg` returned.
    prefix : str
        Letters and digits; unique in the page.
    label : str
        What the figure shows, for those who cannot see it.

    Examples
    --------
    >>> page = themed(svg(Frame(200, 100, 20, 10, 10, 20), lambda ax: ax.set_title("a")), prefix="f1", label="<b>")
    >>> 'aria-label="&lt;b&gt;"' in page
    True
    """
    root = ElementTree.fromstring(document)  # noqa: S314  # written by svg above
    for name in ("width", "height"):
        root.attrib.pop(name, None)
    root.set("role", "img")
    root.set("aria-label", label)
    for element in root.iter():
        if element.get("id"):
            element.set("id", f"{prefix}-{element.get('id')}")
        for name, value in element.attrib.items():
            if name == f"{{{_XLINK}}}href":
                element.set(name, value.replace("#", f"#{prefix}-", 1))
            elif name in {"style", "clip-path", "fill", "stroke"}:
                element.set(name, _HEXES.sub(_variable, value).replace("url(#", f"url(#{prefix}-"))
    for parent in root.iter(f"{{{_SVG}}}defs"):
        for style in parent.findall(f"{{{_SVG}}}style"):
            parent.remove(style)
    return _text(root)


def _variable(found: re.Match[str]) -> str:
    colour = found[0].lower()
    return f"var(--fig-{colour[1:]}, {colour})" if colour in DARK else colour
