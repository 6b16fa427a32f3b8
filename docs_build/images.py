"""Make the images of the documentation by running the commands on its pages.

A command is run if it writes into `docs/images`, which is not under version control. Images that are newer than the
page and the program are not made again.
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


def make_images() -> None:
    """Run every command whose images are missing or outdated."""
    program_time = max(path.stat().st_mtime for path in (ROOT / "src").rglob("*.py"))
    for page in sorted((ROOT / "docs").rglob("*.md")):
        for arguments, folder in COMMAND.findall(page.read_text("utf-8")):
            image_times = [path.stat().st_mtime for path in (ROOT / folder).glob("*.png")]
            if not image_times or min(image_times) < max(program_time, page.stat().st_mtime):
                run(arguments, page)


def run(arguments: str, page: Path) -> None:
    """Run `seewhy` with these arguments in this process, so that TensorFlow is imported only once."""
    original = sys.argv
    sys.argv = ["seewhy", *shlex.split(arguments)]
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            seewhy()
    except SystemExit as end:
        if end.code:
            raise RuntimeError(f"{page.relative_to(ROOT)}: the command 'seewhy {arguments}' failed.") from None
    finally:
        sys.argv = original
