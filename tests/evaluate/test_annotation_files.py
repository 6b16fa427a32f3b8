"""Boxes and masks: what is used, and what is reported."""

import json

import numpy as np
import pytest
from PIL import Image
from tests.evaluate.test_labels import Classifier

from seewhy.errors import InputError
from seewhy.evaluate.annotation_files import GivenMasks, read_coco, read_masks
from seewhy.evaluate.file_matching import match_files

NAMES = ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]


@pytest.fixture
def coco(tmp_path):
    def write(annotations, categories=("cat", "dog", "sky")):
        content = {
            "images": [{"id": i, "file_name": f"photos/{name}"} for i, name in enumerate([*NAMES, "gone.jpg"])],
            "categories": [{"id": 10 + i, "name": name} for i, name in enumerate(categories)],
            "annotations": [{"image_id": i, "bbox": box, "category_id": c} for i, box, c in annotations],
        }
        content |= {"info": {"images": [[]]}, "licenses": []}
        content["images"][2]["height"], content["images"][2]["width"] = 99, 6
        path = tmp_path / "coco.json"
        path.write_text(json.dumps(content, indent=1))
        return read_coco(path, NAMES, Classifier())

    return write


def test_the_boxes_of_the_explained_class_are_its_mask(coco):
    """A box [left, top, width, height] covers the pixels whose centres it contains."""
    boxes = coco([(0, [1, 0, 2, 3], 10), (0, [4, 1, 1, 1], 11), (1, [0, 0, 2, 2], 12)])
    expected = np.zeros((4, 6), dtype=bool)
    expected[0:3, 1:3] = True
    assert np.array_equal(boxes.mask("a.jpg", (4, 6), target=1).pixels, expected)
    assert boxes.mask("a.jpg", (4, 6), target=0).pixels.sum() == 1
    # "sky" is no class, so its box is none of a dog; only where no category is a class, any object counts.
    assert boxes.mask("b.jpg", (4, 6), target=0).problems == ("it has no box of the explained class",)
    unknown = coco([(1, [0, 0, 2, 2], 10)], categories=["sky"])
    assert not unknown.has_classes
    assert unknown.mask("b.jpg", (4, 6), target=0).pixels.sum() == 4
    assert [boxes.label(name) for name in NAMES] == [None, None, None, None]
    assert coco([(0, [1, 0, 2, 3], 10)]).label("a.jpg") == 1
    assert boxes.unused == 1


def test_what_is_wrong_with_boxes_is_said(coco):
    boxes = coco([(0, [3, 1, 50, 50], 10), (0, [1, 1, "x", 1], 10), (1, [70, 0, 5, 5], 11), (2, [0, 0, 2, 2], 11)])
    mask = boxes.mask("a.jpg", (4, 6), target=1)
    assert mask.pixels.sum() == 9
    assert mask.problems == (
        "1 of its boxes have no four finite numbers",
        "1 of 1 boxes extend beyond the image, and are cut off at its edge",
    )
    assert boxes.mask("b.jpg", (4, 6), target=0).problems[-1] == "no box covers a pixel of it"
    assert boxes.mask("b.jpg", (4, 6), target=1).problems == ("it has no box of the explained class",)
    assert boxes.mask("c.jpg", (4, 6), target=0).problems == (
        "its boxes are for 99 x 6 pixels, and the image has 4 x 6",
    )
    assert boxes.mask("d.jpg", (4, 6), target=0).problems == ("it has no boxes",)


NOT_COCO = (
    *(
        "",
        "{",
        "[]",
        '{"images": [{"id": 1}], "annotations": []}',
        '{"images": 3}',
        '{"images": [], "annotations": []} x',
    ),
    *('{"images": [] "annotations": []}', '{"images": [,], "annotations": []}', '{"images": [], "annotations": [3]}'),
    '{"images": [], "annotations": [{"image_id": [1], "bbox": []}]}',
    '{"info": ' + 9999 * "[",
)


@pytest.mark.parametrize("text", NOT_COCO)
def test_files_that_are_not_in_the_format_of_coco(tmp_path, text):
    (tmp_path / "coco.json").write_text(text)
    with pytest.raises(InputError, match="COCO's format"):
        read_coco(tmp_path / "coco.json", NAMES, Classifier())


def test_masks_are_found_by_name_and_have_the_size_of_their_image(tmp_path):
    for name, pixels in (("a", [[0, 9], [0, 0]]), ("b", [[0, 0], [0, 0]]), ("c", [[1, 1, 1]]), ("zzz", [[1]])):
        Image.fromarray(np.array(pixels, dtype=np.uint8)).save(tmp_path / f"{name}.png")
    masks = read_masks(tmp_path, NAMES)
    assert np.array_equal(masks.mask("a.jpg", (2, 2), 0).pixels, [[False, True], [False, False]])
    problems = [masks.mask(name, (2, 2), 0).problems for name in NAMES[1:]]
    assert problems == [
        ("its mask is empty",),
        ("its mask has 1 x 3 pixels, and the image has 2 x 2",),
        ("it has no mask",),
    ]
    assert masks.unused == 1
    with pytest.raises(
        InputError, match=r"has a mask for none of the 1 images\. It needs a mask named x\.png for 'x.jpg'"
    ):
        read_masks(tmp_path, ["x.jpg"])


def test_masks_of_images_that_share_a_name(tmp_path):
    """A mask is found by its path, then by its name; the full name of an image tells cat.jpg from cat.png."""
    files = ["a/cat.png", "b/cat.jpg.png", "dog.png", "deep/er/owl.png", "other.png"]
    found = match_files(files, ["/p/a/cat.jpg", "b/cat.jpg", "b/cat.png", "c/dog.jpg", "d/dog.jpg", "owl.gif", "x.jpg"])
    assert dict(found.files) == {"/p/a/cat.jpg": files[0], "b/cat.jpg": files[1], "owl.gif": files[3]}
    assert dict(found.problems) == {
        "c/dog.jpg": "dog.png may be that of c/dog.jpg or d/dog.jpg: call its own c/dog.jpg.png",
        "d/dog.jpg": "dog.png may be that of c/dog.jpg or d/dog.jpg: call its own d/dog.jpg.png",
    }
    assert found.unused == 1
    two = match_files(["cat.png", "cat.bmp"], ["cat.jpg"]).problems
    assert dict(two) == {"cat.jpg": "several have its name, cat.png or cat.bmp: call the one that is meant cat.jpg.png"}
    Image.fromarray(np.eye(2, dtype=np.uint8)).save(tmp_path / "cat.png")
    (problem,) = read_masks(tmp_path, ["a/cat.jpg", "b/cat.png"]).mask("b/cat.png", (2, 2), 0).problems
    assert problem == (
        "it is not clear which mask is its own: cat.png may be that of a/cat.jpg or b/cat.png: call its own "
        "b/cat.png.png"
    )


def test_masks_in_memory():
    masks = GivenMasks({"a.jpg": np.eye(2, dtype=bool), "b.jpg": None})
    assert masks.mask("a.jpg", (2, 2), 0).pixels.sum() == 2
    assert masks.mask("a.jpg", (3, 2), 0).problems == ("its mask has shape (2, 2), and the image has 3 x 2 pixels",)
    assert masks.mask("b.jpg", (2, 2), 0).problems == ("it has no mask",)
