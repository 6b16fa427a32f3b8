"""The drawings of the page "Architecture" show the rooms of the import contract."""

import xml.etree.ElementTree as ElementTree
from itertools import chain

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
    page = architecture.on_page_markdown("Before.\n\n<!-- drawing: pipeline -->\n\nAfter.\n")
    assert page == f"Before.\n\n{architecture.draw_pipeline()}\n\nAfter.\n"
