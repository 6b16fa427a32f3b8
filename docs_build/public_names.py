"""List every public name on the page "Names", when the site is built.

The marker `<!-- names -->` is replaced by a table: a row for each public function and class, and for each method and
property of a class, with a link to where it is documented and the first sentence of its docstring.

`python docs_build/public_names.py` prints the table.
"""

import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "docs" / "reference"
MARKER = "<!-- names -->"
DIRECTIVE = re.compile(r"^\.\. (?:auto|py:)(?:class|function|exception|data):: (\S+)$((?:\n +:.*)*)", re.MULTILINE)
MEMBERS = re.compile(r":members:(.*)")

MODULES = {
    "seewhy": None,
    "seewhy.datasets": None,
    "seewhy.errors": None,
    "seewhy.evaluate": None,
    "seewhy.integrations": ("KerasExplanations", "MLflow", "TensorBoard", "Tracker", "WeightsAndBiases"),
    "seewhy.methods": None,
    "seewhy.targets": None,
    "seewhy.timing": ("measure", "Phase", "Times"),
    "seewhy.viewer.report": ("ReportWriter", "write_report"),
    "seewhy.viewer.viewer_data": ("viewer_data",),
}
"""The public modules, and which of their names are public: None for `__all__` or, without it, all that they define."""

INTERNAL = {
    "seewhy.errors": {"did_you_mean", "frames_inside", "install_command", "short_repr", "warn"},
    "seewhy.methods": {"Runner"},
    "seewhy.targets": {"ClassFinder", "ClassNamer", "Objective", "TargetScores", "TargetSpec", "resolve"},
}
"""Names of these modules that only code of SeeWhy uses."""


def insert_names(markdown: str) -> str:
    """Return a page with its marker replaced by the table of names."""
    return markdown.replace(MARKER, names_table()) if MARKER in markdown else markdown


def names_table() -> str:
    """Return the table in Markdown, in alphabetical order without regard to case."""
    rows = [f"| {{py:obj}}`{name}` | {summary} |" for name, summary in public_names().items()]
    return "\n".join(["| name | content |", "| --- | --- |", *rows])


def public_names() -> dict[str, str]:
    """Return the first sentence about each public name: `seewhy.Explainer.explain`, and so on.

    Of a class, the members are those that its page of the reference documents.
    """
    found, documented = {}, documented_names()
    for module_name in MODULES:
        module = importlib.import_module(module_name)
        for name in module_names(module):
            value, path = getattr(module, name), f"{module_name}.{name}"
            found[path] = summary_of(value)
            if inspect.isclass(value) and path in documented:
                members = dict(members_of(value))
                chosen = documented[path] if documented[path] != ["*"] else members
                found |= {f"{path}.{member}": members[member] for member in chosen if member in members}
    return dict(sorted(found.items(), key=lambda item: item[0].casefold()))


def module_names(module: Any) -> list[str]:
    """Return the public names of a module; errors are public in `seewhy.errors`."""
    chosen = MODULES[module.__name__] or getattr(module, "__all__", None)
    if chosen is None:
        chosen = [name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
    hidden = INTERNAL.get(module.__name__, set()) | ({"SeewhyError"} if module.__name__ == "seewhy" else set())
    public = (name for name in chosen if not name.startswith("_") and name not in hidden)
    return [name for name in public if not inspect.ismodule(getattr(module, name))]


def members_of(kind: type) -> Iterator[tuple[str, str]]:
    """Yield the methods and properties that a class, or a class of SeeWhy that it derives from, documents.

    Each comes with its first sentence.
    """
    own = [base for base in kind.__mro__ if base.__module__.startswith("seewhy")]
    members = {
        name: member
        for base in reversed(own)
        for name, member in vars(base).items()
        if member.__doc__ or not inspect.isfunction(member)  # else the class it derives from describes it
    }
    for name, member in members.items():
        is_documented = isinstance(member, (property, cached_property, classmethod, staticmethod)) or (
            inspect.isfunction(member) and member.__doc__
        )
        if not name.startswith("_") and is_documented:
            yield name, summary_of(member)


def summary_of(value: Any) -> str:
    """Return the first sentence of a docstring as it stands in a cell of a table; nothing for a table or a list."""
    if isinstance(value, (dict, tuple)):
        return ""
    text = " ".join((inspect.getdoc(value) or "").split("\n\n")[0].split())
    return re.split(r"(?<=[.:]) (?=[A-Z])", text)[0].replace("|", "\\|").replace("*", "\\*").rstrip(":")


def documented_names() -> dict[str, list[str]]:
    """Return the names that the reference documents, with the members of each: "*" for all of them."""
    found = {}
    for page in sorted(REFERENCE.glob("*.md")):
        for name, options in DIRECTIVE.findall(page.read_text("utf-8")):
            members = MEMBERS.search(options)
            listed = (
                [] if members is None else [each.strip() for each in members[1].split(",") if each.strip()] or ["*"]
            )
            found[name] = listed
    return found


if __name__ == "__main__":
    sys.stdout.write(names_table() + "\n")
