"""Refuse retired identifiers and phrases in `src/`, `docs/` and `README.md`, listed in `retired_words.txt`."""

import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
CHECKED = ("src", "docs", "README.md")
TEXT = {".py", ".md", ".js", ".html", ".css"}


def main() -> int:
    """Print every retired word with its place, and return 1 if there is one."""
    rules = [line.rpartition(" -> ")[::2] for line in _lines(HERE / "retired_words.txt")]
    patterns = [(re.compile(pattern), instead) for pattern, instead in rules]
    count = 0
    for name in _files():
        path = HERE.parent / name
        if path.suffix not in TEXT or name.startswith("docs/decisions/") or not path.exists():
            continue
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
            for pattern, instead in patterns:
                if match := pattern.search(line):
                    print(f"{name}:{number}: {match[0]!r} is retired; say: {instead}")
                    count += 1
    print(f"{count} retired words" if count else "No retired words.")
    return int(count > 0)


def _files() -> list[str]:
    """Return the checked files; those that git does not ignore, or in a folder without git, all."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *CHECKED]
    listed = subprocess.run(command, cwd=HERE.parent, capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        return listed.stdout.splitlines()
    folders = [path for name in CHECKED for path in sorted((HERE.parent / name).rglob("*"))]
    return [str(path.relative_to(HERE.parent)) for path in [*folders, HERE.parent / "README.md"] if path.is_file()]


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text("utf-8").splitlines() if line and not line.startswith("#")]


if __name__ == "__main__":
    sys.exit(main())
