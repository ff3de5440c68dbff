"""The site of the documentation: `sphinx-build -W --keep-going docs <folder>`, without a network."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]

import churnsurv  # noqa: E402 - found by the path above

project = "churnsurv"
author = "The churnsurv developers"
version = release = churnsurv.__version__
language = "en"

extensions = [
    "myst_parser",
    "sphinx_design",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "mathml",
    "sources",
    "written",
    "names",
]
exclude_patterns = ["_*", "**/.*"]

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_dmath_double_inline = True
myst_heading_anchors = 4  # so that page.md#a-heading leads to the heading, as on the host of the repository
suppress_warnings = ["myst.header"]  # the chapters of the contract begin below their heading

default_role = "name"
highlight_language = "default"
python_maximum_signature_line_length = 80
add_module_names = False

autosummary_generate = False  # names stand on the page that lists them
autodoc_default_options = {"member-order": "bysource"}
autodoc_typehints = "none"  # parameters say it in words; signatures would be walls of types
autodoc_preserve_defaults = True
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
napoleon_preprocess_types = False

html_theme = "furo"
html_title = f"churnsurv {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
html_show_sphinx = False
html_show_copyright = False
nitpicky = True  # a link of ours that leads nowhere is a warning
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {"navigation_with_keys": True, "footer_icons": []}
pygments_style = "tango"
pygments_dark_style = "github-dark"
