"""Makes the images of the documentation, by running the commands that stand on its pages, when the site is built.

A command counts if it writes into `docs/images`, which is not kept under version control. An image that is newer
than the program is not made again.
"""

import contextlib
import io
import re
import shlex
import sys
from pathlib import Path

from seewhy.cli import main as seewhy

ROOT = Path(__file__).parent.parent
COMMAND = re.compile(r"^seewhy (.*--out (docs/images/\S+).*)$", re.MULTILINE)


def on_pre_build(**_: object) -> None:
    """Run every command whose images are missing or old; MkDocs calls this by its name."""
    newest = max(path.stat().st_mtime for path in (ROOT / "src").rglob("*.py"))
    for page in sorted((ROOT / "docs").rglob("*.md")):
        for arguments, folder in COMMAND.findall(page.read_text("utf-8")):
            made = [path.stat().st_mtime for path in (ROOT / folder).glob("*.png")]
            if not made or min(made) < max(newest, page.stat().st_mtime):
                run(arguments, page)


def run(arguments: str, page: Path) -> None:
    """Run `seewhy` with these arguments in this process: TensorFlow is started once for all."""
    given = sys.argv
    sys.argv = ["seewhy", *shlex.split(arguments)]
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            seewhy()
    except SystemExit as end:
        if end.code:
            raise RuntimeError(f"{page.relative_to(ROOT)}: the command 'seewhy {arguments}' failed.") from None
    finally:
        sys.argv = given
