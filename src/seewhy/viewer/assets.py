"""The viewer's own files: ES modules and a style sheet, which a host serves as they are or puts into one page."""

import functools
import re
from pathlib import Path

ASSETS = Path(__file__).parent / "assets"
"""The folder with the viewer's `*.js` and `*.css`; `viewer.js` has `mount`, `viewer.css` its style."""

_IMPORT = re.compile(r'^import \{[^}]*\} from "\./([a-z]+\.js)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|class|const|let) )", re.MULTILINE)


@functools.cache
def style(name: str) -> str:
    """Return a style sheet: "viewer.css", or "report.css" for the page round it."""
    return (ASSETS / name).read_text("utf-8")


@functools.cache
def bundle(entry: str) -> str:
    """Put a module and all that it imports into one, for a page that can load nothing.

    Each module comes once, after those that it imports. No two may give the same name to something at their outermost
    level, as all of them share it now; a test sees to that.

    Args:
        entry: The module's file name in `ASSETS`. Its exports of a name become plain; an `export default` stays.
    """
    modules: dict[str, str] = {}

    def add(name: str) -> None:
        if name not in modules:
            source = (ASSETS / name).read_text("utf-8")
            for imported in _IMPORT.findall(source):
                add(imported)
            modules[name] = _EXPORT.sub("", _IMPORT.sub("", source)).strip()

    add(entry)
    return "\n\n".join(modules.values()) + "\n"
