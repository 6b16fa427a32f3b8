"""Configuration of Sphinx, which builds the documentation from the pages that `prepare.py` writes."""

import re
from typing import Any

import seewhy

OUTSIDE_CODE = re.compile(r"`[^`]*`|([*|])")

project = "SeeWhy"
author = "The SeeWhy authors"
version = release = seewhy.__version__
language = "en"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]

# Pages are Markdown; links to headings of other pages are checked.
source_suffix = {".md": "markdown"}
myst_heading_anchors = 4
myst_enable_extensions = ["attrs_inline"]

# Docstrings are in the Google style, with single backticks around code.
default_role = "code"
autoclass_content = "class"
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_typehints_format = "short"
autodoc_class_signature = "mixed"
napoleon_numpy_docstring = False
napoleon_use_rtype = False
python_maximum_signature_line_length = 88
add_module_names = False
toc_object_entries_show_parents = "hide"

html_theme = "pydata_sphinx_theme"
html_title = "SeeWhy"
html_extra_path = ["../.docs/llms.txt"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
html_sidebars = {"index": [], "quickstart": [], "costs": [], "cli": [], "glossary": [], "comparison": []}
html_theme_options = {
    "header_links_before_dropdown": 7,
    "navbar_persistent": [],
    "navbar_end": ["search-button", "theme-switcher"],
    "navigation_with_keys": False,
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": [],
    "footer_end": [],
}


def escape_stars(_app: Any, _what: str, _name: str, _object: object, _options: object, lines: list[str]) -> None:
    """Escape the stars and bars of shapes and norms, such as (N, *space, K), which are markup for Sphinx."""
    lines[:] = [OUTSIDE_CODE.sub(lambda part: part[0] if part[1] is None else "\\" + part[1], line) for line in lines]


def setup(app: Any) -> None:
    """Connect what this file adds to Sphinx."""
    app.connect("autodoc-process-docstring", escape_stars)
