"""A figure as SVG text: the same bytes for the same figure, text as text, colours that follow the page."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from churnsurv.plots.colours import DARK
from churnsurv.plots.marks import Marks, collecting, placed
from churnsurv.plots.paths import shortened
from churnsurv.plots.style import SIZE, Frame
from churnsurv.plots.text import text_stays_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["FONTS", "Picture", "picture", "svg", "themed"]

# What a viewer may have, Latin first, then Chinese: any one that is there serves.
FONTS = (
    "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'Noto Sans', 'PingFang TC', "
    "'Microsoft JhengHei', 'Noto Sans CJK TC', 'Noto Sans TC', 'PingFang SC', 'Microsoft YaHei', sans-serif"
)
_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"
_HEXES = re.compile(r"#[0-9a-f]{6}\b", re.IGNORECASE)
_NUMBER = re.compile(r"-?\d+\.\d{3,}")
_NO_XML = re.compile("[^\\t\\n\\r -\\ud7ff\\ue000-\\ufffd\U00010000-\U0010ffff]")
_REFERENCE = re.compile(r"#([\w.-]+)")
# What texts have from the whole document: its fonts and the size of nearly all of them, and what is so anyhow.
_SAID_ABOVE = ("font-family", f"font-size: {SIZE:g}px", "text-anchor: start")
_DESK = 400.0  # points from which on a figure is drawn for a desk
_MOST_WIDE, _MOST_NARROW = 300, 120  # about so many points that can be hovered


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure as an SVG document, and what stands where in it."""

    document: str
    marks: tuple[Marks, ...]


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
    return picture(frame, draw).document


def picture(frame: Frame, draw: Callable[[Axes], Any]) -> Picture:
    """Draw into a frame and return the SVG document with its marks.

    Parameters
    ----------
    frame : Frame
    draw : callable
        Takes the Axes and draws on it.

    Examples
    --------
    >>> from churnsurv.plots.marks import mark
    >>> frame, texts = Frame(200, 100, 20, 10, 10, 20), ["first", "last"]
    >>> made = picture(frame, lambda ax: mark(ax, "a", [0, 1], [0, 1], texts.__getitem__))
    >>> made.marks[0].points
    ((20.0, 80.0, 'first'), (190.0, 10.0, 'last'))
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    buffer = io.BytesIO()
    settings: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "churnsurv"}
    with mpl.rc_context(settings), text_stays_text(), collecting() as found, warnings.catch_warnings():
        # Text is only measured here; the viewer's fonts draw it, so that a glyph missing on this machine is no fault.
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .* missing from", category=UserWarning)
        figure = Figure()
        FigureCanvasSVG(figure)
        figure.patch.set_visible(False)
        ax = frame.place(figure)
        ax.patch.set_visible(False)
        draw(ax)
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
        marks = placed(found, frame.height, _MOST_WIDE if frame.width >= _DESK else _MOST_NARROW)
    return Picture(_cleaned(buffer.getvalue()), marks)


def _cleaned(document: bytes) -> str:
    """The document without preamble and metadata, with short numbers and the font list of all viewers."""
    # Texts are made safe by `shown` before; a character that XML cannot hold must not cost the whole page all the same.
    readable = _NO_XML.sub("\ufffd", document.decode("utf-8", "replace"))
    root = ElementTree.fromstring(readable)  # noqa: S314  # written by matplotlib just now
    for element in root.findall(f"{{{_SVG}}}metadata"):
        root.remove(element)
    root.set("font-family", FONTS)
    root.set("style", f"font-size: {SIZE:g}px")
    for element in root.iter():
        style = element.get("style")
        if style is not None and element.tag == f"{{{_SVG}}}text":
            parts = (part.strip() for part in re.split(r";(?=(?:[^']*'[^']*')*[^']*$)", style))
            element.set("style", "; ".join(part for part in parts if not part.startswith(_SAID_ABOVE)))
        for name in ("x", "y", "transform", "points"):
            value = element.get(name)
            if value is not None:
                element.set(name, _NUMBER.sub(_short, value).replace("\n", ""))
        if element.tag == f"{{{_SVG}}}path":
            data = element.get("d", "").replace("\n", " ").strip()
            curved = "C" in data or "Q" in data
            element.set("d", _NUMBER.sub(_short, data) if curved else shortened(data))
        if element.get("transform", "").startswith("rotate(-0 "):
            del element.attrib["transform"]
    _unwrapped(root, _referred(root))
    return _text(root)


def _referred(root: ElementTree.Element) -> set[str]:
    """The ids that another element refers to."""
    values = (value for element in root.iter() for value in element.attrib.values())
    return {name for value in values for name in _REFERENCE.findall(value)}


def _unwrapped(root: ElementTree.Element, referred: set[str]) -> None:
    """Drop ids that nothing refers to, but for our own, and groups that say nothing."""
    for element in root.iter():
        name = element.get("id")
        if name is not None and name not in referred and not name.startswith("churnsurv"):
            del element.attrib["id"]
    _flatten(root)


def _flatten(parent: ElementTree.Element) -> None:
    children = list(parent)
    for child in children:
        _flatten(child)
    if any(child.tag == f"{{{_SVG}}}g" and not child.attrib for child in children):
        parent[:] = [
            each
            for child in children
            for each in (child if child.tag == f"{{{_SVG}}}g" and not child.attrib else [child])
        ]


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
