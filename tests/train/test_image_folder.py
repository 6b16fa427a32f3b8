import shutil

import numpy as np
import pytest
from PIL import Image

from seewhy.errors import InputError, OptionError
from seewhy.train.image_folder import find_images


def names(images, part):
    return {each.path.as_posix() for each in images.part(part)}


def arranged(bars, folder, **classes):
    """Copy images into train and validation: `train=("lying", ...)`."""
    for part, kinds in classes.items():
        for kind in kinds:
            shutil.copytree(bars / "lying", folder / part / kind)
    return folder


def test_the_split_is_seeded_disjoint_complete_and_of_every_class(bars):
    first, again, other = (find_images(bars, 0.25, seed) for seed in (0, 0, 1))
    training, validation = names(first, "train"), names(first, "validation")
    assert validation == names(again, "validation")
    assert validation != names(other, "validation")
    assert training & validation == set()
    assert training | validation == {f"{kind}/{i:02d}.png" for kind in ("lying", "standing") for i in range(12)}
    assert first.labels("validation") == [0, 0, 0, 1, 1, 1]
    assert first.class_names == ("lying", "standing")
    assert {name.split("/")[1] for name in validation if "lying" in name} != {
        name.split("/")[1] for name in validation if "standing" in name
    }


@pytest.mark.parametrize(("fraction", "count"), [(0.001, 1), (0.2, 2), (0.5, 6), (0.999, 11)])
def test_both_parts_have_one_at_least(bars, fraction, count):
    found = find_images(bars, fraction, 0)
    assert found.labels("validation") == [0] * count + [1] * count


def test_a_split_that_is_given_is_taken(bars, tmp_path):
    folder = arranged(bars, tmp_path / "data", train=("a", "b"), validation=("b", "a"))
    (folder / "validation" / "a" / "00.png").unlink()
    found = find_images(folder, 0.2, 0)
    assert found.labels("validation") == [0] * 11 + [1] * 12
    assert all(path.is_file() and path.relative_to(folder).parts[0] == "train" for path in found.paths("train"))
    assert found.labels("train") == [0] * 12 + [1] * 12


def test_what_cannot_be_read_is_skipped_and_listed_with_the_reason(bars):
    (bars / "lying" / "a_text.png").write_text("no image")
    (bars / "standing" / "b_empty.jpg").touch()
    (bars / "standing" / "notes.txt").write_text("no image, and does not claim to be one")
    found = find_images(bars, 0.25, 0)
    skipped = {each.path.as_posix(): each.reason for each in found.part("skipped")}
    assert list(skipped) == ["lying/a_text.png", "standing/b_empty.jpg"]
    assert "is not an image in a format" in skipped["lying/a_text.png"]
    assert "is empty (0 bytes)" in skipped["standing/b_empty.jpg"]
    assert len(found.labels("train")) + len(found.labels("validation")) == 24


def test_the_checksum_knows_content_names_and_parts(bars):
    sums = [
        find_images(bars, 0.25, 0).sha256,
        find_images(bars, 0.25, 0).sha256,
        find_images(bars, 0.25, 1).sha256,
    ]
    Image.new("RGB", (40, 40)).save(bars / "lying" / "05.png")
    sums.append(find_images(bars, 0.25, 0).sha256)
    (bars / "lying" / "05.png").rename(bars / "lying" / "99.png")
    sums.append(find_images(bars, 0.25, 0).sha256)
    assert sums[0] == sums[1]
    assert len(set(sums)) == 4


def test_folders_that_cannot_be_trained_on(bars, tmp_path):
    empty = tmp_path / "empty"
    (empty / ".hidden").mkdir(parents=True)
    one = arranged(bars, tmp_path / "one", cats=("",))
    hollow = arranged(bars, tmp_path / "hollow", a=("",), b=("",))
    for path in (hollow / "b").glob("*.png"):
        path.write_text("broken")
    single = arranged(bars, tmp_path / "single", a=("",))
    (single / "dog").mkdir()
    shutil.copy(bars / "lying" / "00.png", single / "dog")
    alone = arranged(bars, tmp_path / "alone", train=("a", "b"))
    for folder, said in [
        (tmp_path / "missing", "Cannot look into the data folder .*missing: No such file"),
        (empty, "holds no classes; expected a folder of images for each of two"),
        (one, "holds one class, 'cats'; expected"),
        (hollow, "There are no images that can be read of 'b' in .*; 12 cannot be read"),
        (single, "The class 'dog' has 1 image that can be read; it needs 2 or more"),
        (alone, "holds one class, 'train'; .* it needs a validation folder too"),
    ]:
        with pytest.raises(InputError, match=said):
            find_images(folder, 0.2, 0)


def test_parts_that_differ_in_their_classes(bars, tmp_path):
    folder = arranged(bars, tmp_path / "data", train=("cat", "dog", "emu"), validation=("cat", "fox"))
    with pytest.raises(InputError, match="differ: dog, emu only in train; fox only in validation"):
        find_images(folder, 0.2, 0)


def test_an_empty_class_in_one_part(bars, tmp_path):
    folder = arranged(bars, tmp_path / "data", train=("a", "b"), validation=("a", "b"))
    shutil.rmtree(folder / "validation" / "b")
    (folder / "validation" / "b").mkdir()
    with pytest.raises(InputError, match=r"no images that can be read of 'b' in .* to validate on"):
        find_images(folder, 0.2, 0)


@pytest.mark.parametrize("fraction", [0, 1, -0.1, float(np.nan)])
def test_a_part_that_is_none(bars, fraction):
    with pytest.raises(OptionError, match="expected a part between 0 and 1"):
        find_images(bars, fraction, 0)
