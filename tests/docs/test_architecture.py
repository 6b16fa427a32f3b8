"""The drawings of the page "Architecture" show the rooms of the import contract."""

import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from itertools import chain
from pathlib import Path

import pytest
from docs_build import architecture

import seewhy.cli
import seewhy.methods
import seewhy.targets

SVG = "{http://www.w3.org/2000/svg}"


def texts_of(drawing):
    return [element.text for element in ElementTree.fromstring(drawing).iter(f"{SVG}text")]  # noqa: S314  # our own


def titles_of(drawing):
    elements = ElementTree.fromstring(drawing).iter(f"{SVG}text")  # noqa: S314  # our own
    return [element.text for element in elements if element.get("font-weight") == "bold"]


def test_the_rooms_are_those_of_the_import_contract():
    levels = architecture.read_levels()
    assert levels[0] == ["cli"]
    assert ["images", "methods", "targets"] in [sorted(level) for level in levels]
    assert titles_of(architecture.draw_rooms()) == list(chain(*levels))


def test_a_room_says_what_its_docstring_says():
    for room in (seewhy.cli, seewhy.methods, seewhy.targets):
        summary = room.__doc__.split("\n")[0].replace("`", "").rstrip(".:")
        assert summary in " ".join(texts_of(architecture.draw_rooms()))


def test_no_box_lies_outside_of_the_drawing():
    drawing = ElementTree.fromstring(architecture.draw_rooms())  # noqa: S314  # our own
    _, _, width, height = map(float, drawing.find(f"{SVG}svg").get("viewBox").split())
    boxes = list(drawing.iter(f"{SVG}rect"))
    assert len(boxes) == sum(map(len, architecture.read_levels()))
    for box in boxes:
        left, top, box_width, box_height = (float(box.get(key)) for key in ("x", "y", "width", "height"))
        assert 0 <= left <= width - box_width
        assert 0 <= top <= height - box_height


def test_the_pipeline_has_its_six_steps_in_order():
    steps = ["read", "preprocess", "capture", "method", "place", "draw"]
    assert titles_of(architecture.draw_pipeline()) == steps


def test_a_room_that_does_not_exist_fails():
    with pytest.raises(RuntimeError, match=r"There is no room 'attic' in src/seewhy\."):
        architecture.path_of("attic")


def test_a_page_gets_its_drawings():
    page = architecture.insert_drawings("Before.\n\n<!-- drawing: pipeline -->\n\nAfter.\n")
    assert page == f"Before.\n\n{architecture.draw_pipeline()}\n\nAfter.\n"


def test_the_files_that_contributing_and_decisions_name_exist():
    root = Path(__file__).parents[2]
    known = {path.name for path in root.rglob("*.py") if ".venv" not in str(path)}
    for page in (root / "CONTRIBUTING.md", *sorted((root / "docs" / "decisions").glob("*.md"))):
        named = set(re.findall(r"`(?:[\w./]*/)?([a-z_0-9]+\.py)`", page.read_text("utf-8")))
        assert named - known - {"utils.py", "helpers.py", "test_NAME.py"} == set(), page.name


def test_retired_words_are_found(tmp_path):
    """The word check can fail: a copy of it beside a page with a retired word says where it is."""
    root = Path(__file__).parents[2]
    (tmp_path / ".ci").mkdir()
    for name in ("check_words.py", "retired_words.txt"):
        shutil.copy(root / ".ci" / name, tmp_path / ".ci" / name)
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text("A heatmap is evidence for a class.\n", "utf-8")
    check = [sys.executable, tmp_path / ".ci" / "check_words.py"]
    assert subprocess.run(check, capture_output=True, text=True, check=False).returncode == 0
    (tmp_path / "docs" / "page.md").write_text("Fine.\nIt speaks for the class.\n", "utf-8")
    finished = subprocess.run(check, capture_output=True, text=True, check=False)
    assert (finished.returncode, finished.stdout.splitlines()[0].split(" ")[0]) == (1, "docs/page.md:2:")
