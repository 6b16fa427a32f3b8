"""The viewer's ES modules and style sheets, which a host serves as files or embeds in one page."""

import functools
import re
from pathlib import Path

ASSETS = Path(__file__).parent / "assets"
"""The folder of the viewer's `*.js` and `*.css`: `viewer.js` exports `mount`, and `viewer.css` is its style sheet."""

_IMPORT = re.compile(r'^import \{[^}]*\} from "\./([a-z_]+\.js)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|class|const|let) )", re.MULTILINE)

_DOCUMENTATION = re.compile(r"^ */\*\*(?:(?!\*/).)*\*/\n", re.MULTILINE | re.DOTALL)
"""A comment that documents the function or the module below it: each begins a line, and ends one."""


@functools.cache
def style_sheet(name: str) -> str:
    """Return a style sheet: "viewer.css", or "report.css" for the page around the viewer."""
    return (ASSETS / name).read_text("utf-8")


@functools.cache
def bundle(entry: str) -> str:
    """Return a module and everything it imports as one module, for a page that cannot load files.

    It has no documentation, which is a quarter of its size: every output of a notebook holds it.

    Every module occurs once, after the modules that it imports. They share one scope, so no two modules may define
    the same name at their top level; a test checks this.

    Args:
        entry: The module's file name in `ASSETS`. Named exports become plain declarations; `export default` stays.
    """
    modules: dict[str, str] = {}

    def add(name: str) -> None:
        if name not in modules:
            source = (ASSETS / name).read_text("utf-8")
            for imported in _IMPORT.findall(source):
                add(imported)
            modules[name] = _EXPORT.sub("", _IMPORT.sub("", _DOCUMENTATION.sub("", source))).strip()

    add(entry)
    return "\n\n".join(modules.values()) + "\n"
