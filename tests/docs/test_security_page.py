"""The tests that SECURITY.md names for its promises exist, in the files that it names."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_promise_has_tests_that_exist():
    text = (ROOT / "SECURITY.md").read_text("utf-8")
    known = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py")}
    everything = "\n".join(known.values())
    for path in re.findall(r"tests/[\w/]+\.py", text):
        assert path in known, path
    for name in re.findall(r"\btest_\w+(?!\w|\.py)", text):
        assert f"def {name}(" in everything or f"/{name}.py" in "\n".join(known), name
    rows = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith(("| promise", "| ---"))]
    assert len(rows) > 40
    assert [row for row in rows if "test_" not in row and "tests/" not in row] == []
