"""Run the Python examples of README.md and the documentation, and check what they print.

    python docs_build/run_pages.py [PAGE ...]

The blocks of a page run in order, in one namespace, in a temporary folder that holds a link to `examples`. A `text`
block directly below a Python block must equal what the block prints. Without arguments all pages run but the tutorials,
which `tutorials.py` runs when the site is built, and `howto/serve.md`, which `tests/serve` runs against a server.
"""

import contextlib
import io
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = re.compile(r"^```python\n(.*?)^```$(?:\n+```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)


def main(arguments: list[str]) -> int:
    """Run pages and return the number of blocks that failed."""
    pages = [Path(argument).resolve() for argument in arguments] or default_pages()
    home, failures = Path.cwd(), 0
    for page in pages:
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "examples").symlink_to(ROOT / "examples")
            os.chdir(folder)
            failures += run_page(page)
            os.chdir(home)
    return failures


def default_pages() -> list[Path]:
    """Return README.md and every page of the documentation that has a Python example, but those run elsewhere."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    served = ROOT / "docs" / "howto" / "serve.md"
    return [
        page
        for page in pages
        if page != served and "tutorials" not in page.parts and EXAMPLE.search(page.read_text("utf-8"))
    ]


def run_page(page: Path) -> int:
    """Run the blocks of a page in the current folder; report failures and return their number."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    text = page.read_text("utf-8")
    failures = 0
    for block in EXAMPLE.finditer(text):
        name = f"{page.relative_to(ROOT)}:{text.count(chr(10), 0, block.start()) + 1}"
        with contextlib.redirect_stdout(io.StringIO()) as output:
            exec(compile(block[1], name, "exec"), namespace)  # noqa: S102  # our own pages
        if block[2] is not None and output.getvalue() != block[2]:
            failures += 1
            print(f"{name}: expected\n{block[2]}but it printed\n{output.getvalue()}", file=sys.stderr)  # noqa: T201
    return failures


if __name__ == "__main__":
    sys.exit(min(main(sys.argv[1:]), 1))
