"""Run the tutorials, and insert the output of each block below it.

The Python blocks of a page of `docs/tutorials` run in order, in one namespace, and its `seewhy` and `python` commands
run in their places among them. The images that they write are the images of the page. A block whose title begins with
"Not run here" is shown but not run, because it needs the internet.

`python docs_build/tutorials.py PAGE FOLDER` runs one page in a folder. Each page runs in its own process.
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
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PAGES = ROOT / "docs" / "tutorials"
IMAGES = ROOT / "docs" / "images" / "tutorials"
WORKSPACE = ROOT / ".tutorials"
OUTPUTS = "outputs.json"
BLOCK = re.compile(r"^```(python|sh)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NOT_RUN = 'title="Not run here'
IMAGE = re.compile(r"\(\.\./images/tutorials/[\w-]+/([^)]+)\)")
COLUMNS = "100"
PROCESSES = min(4, os.cpu_count() or 1)


def run_tutorials() -> None:
    """Run every page whose output is missing or outdated, as many at once as there are processors."""
    program_time = max(path.stat().st_mtime for path in (ROOT / "src").rglob("*.py"))
    outdated = [page for page in sorted(PAGES.glob("*.md")) if _is_outdated(page, program_time)]
    with ThreadPoolExecutor(PROCESSES) as pool:
        for _ in pool.map(_run_tutorial, outdated):
            pass


def _is_outdated(page: Path, program_time: float) -> bool:
    outputs = WORKSPACE / page.stem / OUTPUTS
    if not (IMAGES / page.stem).is_dir() or not outputs.exists():
        return True
    return outputs.stat().st_mtime <= max(program_time, page.stat().st_mtime)


def _run_tutorial(page: Path) -> None:
    """Run a page in a process of its own, and keep the images that it shows."""
    workspace, images = WORKSPACE / page.stem, IMAGES / page.stem
    for folder in (workspace, images):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    (workspace / "examples").symlink_to(ROOT / "examples")
    started = time.monotonic()
    command = [sys.executable, str(Path(__file__).resolve()), str(page), str(workspace)]
    if subprocess.run(command, check=False).returncode:  # noqa: S603  # our own pages
        raise RuntimeError(f"{page.relative_to(ROOT)}: its code failed; see above.")
    print(f"ran {page.relative_to(ROOT)} in {time.monotonic() - started:.0f} s", file=sys.stderr)  # noqa: T201
    names = set(IMAGE.findall(page.read_text("utf-8")))  # without the photos that a model was trained on
    for path in workspace.rglob("*"):
        if path.name in names and "examples" not in path.relative_to(workspace).parts:
            shutil.copy(path, images / path.name)


def insert_outputs(markdown: str, page: str) -> str:
    """Insert the output of each block of a tutorial below it.

    Args:
        markdown: The page.
        page: Its name, such as "digits".
    """
    outputs = iter(json.loads((WORKSPACE / page / OUTPUTS).read_text("utf-8")))

    def with_output(block: re.Match[str]) -> str:
        output = "" if NOT_RUN in block[2] else next(outputs)
        return block[0] + (f"\n\n```text\n{output}```" if output else "")

    return BLOCK.sub(with_output, markdown)


def run_page(page: Path) -> list[str]:
    """Run the blocks of a page in the current folder, and return the output of each."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    outputs = []
    for language, info, code in BLOCK.findall(page.read_text("utf-8")):
        if NOT_RUN in info:
            continue
        with contextlib.redirect_stdout(io.StringIO()) as stdout:
            if language == "python":
                exec(compile(code, str(page), "exec"), namespace)  # noqa: S102  # our own pages
            else:
                for line in code.replace("\\\n", " ").splitlines():
                    run_command(shlex.split(line, comments=True))
        text = stdout.getvalue()
        outputs.append(text if not text or text.endswith("\n") else text + "\n")
    return outputs


def run_command(words: list[str]) -> None:
    """Run `seewhy` in this process and any other program in a new one; the output goes to standard output."""
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
