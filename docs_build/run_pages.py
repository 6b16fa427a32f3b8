"""Run the examples of README.md and the documentation, in Python and on the command line, and check what they print.

    python docs_build/run_pages.py [PAGE ...]

The blocks of a page run in order, in one namespace, in a temporary folder that holds a link to `examples`. A `text`
block directly below a block must equal what it prints; in it, a number of seconds stands for any other, and a line
"..." for any lines. A block whose title begins with "Not run here" is not run, nor are commands other than `seewhy`:
CI itself begins with `make` and `pip`, and `curl` needs a server. "Exits with N" in a title is checked.

Without arguments all pages run but the tutorials, which `tutorials.py` runs; `howto/serve.md`, which `tests/serve` runs
against a server; and `moving`, whose pages need other tools: `make oracle` runs them.
"""

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from docs_build.tutorials import COLUMNS, NOT_RUN, PROCESSES, run_command  # noqa: E402  # after the path is set

EXAMPLE = re.compile(r"^```(python|sh)([^\n]*)\n(.*?)^```$(?:\n+```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)
EXIT_CODE = re.compile(r"Exits with (\d)")
ELSEWHERE = {"tutorials", "moving"}
SECONDS = re.compile(r"\d+(\.\d+)? s\b")


def main(arguments: list[str]) -> int:
    """Run pages, as many at once as there are processors, and return the number of blocks that failed."""
    pages = [Path(argument).resolve() for argument in arguments] or default_pages()
    os.environ["COLUMNS"] = COLUMNS
    with ProcessPoolExecutor(PROCESSES) as pool:
        return sum(pool.map(run_in_folder, pages))


def run_in_folder(page: Path) -> int:
    """Run a page in a temporary folder, and return the number of blocks that failed."""
    home = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "examples").symlink_to(ROOT / "examples")
        os.chdir(folder)
        failures = run_page(page)
        os.chdir(home)
    return failures


def default_pages() -> list[Path]:
    """Return README.md and every page of the documentation that has an example, but those run elsewhere."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    served = ROOT / "docs" / "howto" / "serve.md"
    return [
        page
        for page in pages
        if page != served and not ELSEWHERE & set(page.relative_to(ROOT).parts) and _has_example(page)
    ]


def _has_example(page: Path) -> bool:
    """Whether a page has an example that is not run elsewhere: `images.py` runs the commands of the methods' pages."""
    text = page.read_text("utf-8")
    is_method = "methods" in page.relative_to(ROOT).parts
    return "```python" in text if is_method else EXAMPLE.search(text) is not None


def run_page(page: Path) -> int:
    """Run the blocks of a page in the current folder; report failures and return their number."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    text = page.read_text("utf-8")
    failures = 0
    for block in EXAMPLE.finditer(text):
        language, info, code, expected = block.groups()
        if NOT_RUN in info:
            continue
        name = f"{page.relative_to(ROOT)}:{text.count(chr(10), 0, block.start()) + 1}"
        with contextlib.redirect_stdout(io.StringIO()) as output:
            if language == "python":
                exec(compile(code, name, "exec"), namespace)  # noqa: S102  # our own pages
            else:
                exit_code = EXIT_CODE.search(info)
                for line in code.replace("\\\n", " ").splitlines():
                    run_line(line, int(exit_code[1]) if exit_code else 0)
        if expected is not None and not prints(output.getvalue(), expected):
            failures += 1
            print(f"{name}: expected\n{expected}but it printed\n{output.getvalue()}", file=sys.stderr)  # noqa: T201
    return failures


def run_line(line: str, exit_code: int) -> None:
    """Run a `seewhy` command and print what it prints, errors included.

    Raises:
        RuntimeError: It ends with another exit code.
    """
    words = shlex.split(line, comments=True)
    if "seewhy" not in words or words[:2] == ["seewhy", "serve"] or words[0] == "pip":
        return
    # Keras has one backend in a process, and another command may have chosen it.
    if words[0] == "seewhy" and not exit_code and not {"|", "||", "&&", ">", "--backend"} & set(words):
        run_command(words)
        return
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(  # noqa: S602  # our own pages
        line, shell=True, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    )
    if done.returncode != exit_code:
        raise RuntimeError(f"{line!r} ended with {done.returncode}:\n{done.stdout}")
    print(done.stdout, end="")  # noqa: T201


def prints(output: str, expected: str) -> bool:
    """Whether an output is the expected one."""
    pattern = r"(?:.*\n)*".join(
        re.escape(SECONDS.sub("0 s", part)) for part in re.split(r"^\.\.\.\n", expected, flags=re.MULTILINE)
    )
    return re.fullmatch(pattern, SECONDS.sub("0 s", output)) is not None


if __name__ == "__main__":
    sys.exit(min(main(sys.argv[1:]), 1))
