"""Write the pages of the documentation as Sphinx reads them, into `.docs`.

    python docs_build/prepare.py

This makes the images, draws the plots and runs the tutorials, where they are missing or outdated. Then it copies `docs`
and replaces what is generated: the output of the tutorials, the tables of measurements and of names, and the drawings.
It also writes `llms.txt`, a list of the pages for language models.
"""

import re
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from docs_build.architecture import insert_drawings  # noqa: E402  # after the path is set
from docs_build.costs import draw_plots, fill_tables, read_record  # noqa: E402
from docs_build.images import make_images  # noqa: E402
from docs_build.llms import write_llms  # noqa: E402
from docs_build.public_names import insert_names  # noqa: E402
from docs_build.tutorials import insert_outputs, run_tutorials  # noqa: E402

SOURCE = ROOT / "docs"
PREPARED = ROOT / ".docs"
TITLED = re.compile(r'^```(\w+) title="([^"]*)"$', re.MULTILINE)


def main() -> None:
    """Make what pages show, and write the pages."""
    make_images()
    draw_plots()
    run_tutorials()
    shutil.rmtree(PREPARED, ignore_errors=True)
    shutil.copytree(SOURCE, PREPARED)
    for path in PREPARED.rglob("*.md"):
        path.write_text(prepare_page(path.read_text("utf-8"), path.relative_to(PREPARED)), "utf-8")
    write_llms(PREPARED)


def prepare_page(markdown: str, path: Path) -> str:
    """Return a page with what is generated.

    Args:
        markdown: The page.
        path: Its path in `docs`.
    """
    if path.parts[0] == "tutorials" and path.stem != "index":
        markdown = insert_outputs(markdown, path.stem)
    markdown = insert_names(insert_drawings(fill_tables(markdown, read_record(), str(path))))
    return TITLED.sub(lambda block: f"```{{code-block}} {block[1]}\n:caption: {block[2]}\n", markdown)


if __name__ == "__main__":
    main()
