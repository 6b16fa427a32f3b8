"""Runs the tutorials when the site is built, and shows on each page what its code printed.

A page of `docs/tutorials` is a program: its Python blocks run in order, in one namespace, and its `seewhy` and `python`
commands where they stand among them. The images they write are the images on the page. A block whose title begins
with "Not run here" is shown and not run: it needs what a machine without the internet has not got, and the page goes on
with a stand-in that it names.

`python docs_build/tutorials.py PAGE FOLDER` runs one page in a folder, which is how each has a process of its own.
"""

import contextlib
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PAGES = ROOT / "docs" / "tutorials"
IMAGES = ROOT / "docs" / "images" / "tutorials"
WORKPLACE = ROOT / ".tutorials"
OUTPUTS = "outputs.json"
BLOCK = re.compile(r"^```(python|sh)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NOT_RUN = 'title="Not run here'
SHOWN = re.compile(r"\(\.\./images/tutorials/[\w-]+/([^)]+)\)")
COLUMNS = "100"


def on_pre_build(**_: object) -> None:
    """Run every page that is newer than what it printed, or older than the program; MkDocs calls this by its name."""
    newest = max(path.stat().st_mtime for path in (ROOT / "src").rglob("*.py"))
    for page in sorted(PAGES.glob("*.md")):
        workplace, images = WORKPLACE / page.stem, IMAGES / page.stem
        outputs = workplace / OUTPUTS
        if images.is_dir() and outputs.exists() and outputs.stat().st_mtime > max(newest, page.stat().st_mtime):
            continue
        for folder in (workplace, images):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        (workplace / "examples").symlink_to(ROOT / "examples")
        started = time.monotonic()
        command = [sys.executable, str(Path(__file__).resolve()), str(page), str(workplace)]
        if subprocess.run(command, check=False).returncode:  # noqa: S603  # our own pages
            raise RuntimeError(f"{page.relative_to(ROOT)}: its code failed; see above.")
        print(f"ran {page.relative_to(ROOT)} in {time.monotonic() - started:.0f} s", file=sys.stderr)  # noqa: T201
        shown = set(SHOWN.findall(page.read_text("utf-8")))  # not the photos that a model was trained on
        for path in workplace.rglob("*"):
            if path.name in shown and "examples" not in path.relative_to(workplace).parts:
                shutil.copy(path, images / path.name)


def on_page_markdown(markdown: str, page: Any, **_: object) -> str:
    """Put below each block of a tutorial what it printed; MkDocs calls this by its name."""
    if not page.file.src_uri.startswith("tutorials/"):
        return markdown
    outputs = iter(json.loads((WORKPLACE / Path(page.file.src_uri).stem / OUTPUTS).read_text("utf-8")))

    def with_output(block: re.Match[str]) -> str:
        printed = "" if NOT_RUN in block[2] else next(outputs)
        return block[0] + (f"\n\n```text\n{printed}```" if printed else "")

    return BLOCK.sub(with_output, markdown)


def run_page(page: Path) -> list[str]:
    """Run a page's blocks in the current folder, and return what each printed."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    printed = []
    for language, info, code in BLOCK.findall(page.read_text("utf-8")):
        if NOT_RUN in info:
            continue
        with contextlib.redirect_stdout(io.StringIO()) as output:
            if language == "python":
                exec(compile(code, str(page), "exec"), namespace)  # noqa: S102  # what this program is for
            else:
                for line in code.replace("\\\n", " ").splitlines():
                    run_command(shlex.split(line, comments=True))
        text = output.getvalue()
        printed.append(text if not text or text.endswith("\n") else text + "\n")
    return printed


def run_command(words: list[str]) -> None:
    """Run `seewhy` in this process, and any other program in its own; what it prints goes to standard output."""
    if not words:
        return
    if words[0] != "seewhy":
        words = [sys.executable if words[0] == "python" else words[0], *words[1:]]
        print(subprocess.run(words, check=True, capture_output=True, text=True).stdout, end="")  # noqa: S603, T201
        return
    from seewhy.cli import main as seewhy

    sys.argv = words
    try:
        seewhy()
    except SystemExit as end:
        if end.code:
            raise RuntimeError(f"the command {shlex.join(words)!r} failed") from None


if __name__ == "__main__":
    os.environ.update(COLUMNS=COLUMNS, TF_CPP_MIN_LOG_LEVEL="3")
    os.chdir(sys.argv[2])
    Path(OUTPUTS).write_text(json.dumps(run_page(Path(sys.argv[1]))), encoding="utf-8")
