import shutil

import numpy as np
import pytest
from PIL import Image

from seewhy.errors import InputError, OptionError
from seewhy.train.image_folder import find_labeled_images


def names(images, split):
    return {image.path.as_posix() for image in images.split(split)}


def make_folder(bars, folder, **classes):
    """Copy images into class folders within splits: `train=("cat", ...)`."""
    for split, class_names in classes.items():
        for class_name in class_names:
            shutil.copytree(bars / "lying", folder / split / class_name)
    return folder


def test_the_split_is_seeded_disjoint_complete_and_stratified(bars):
    first, again, other = (find_labeled_images(bars, 0.25, seed) for seed in (0, 0, 1))
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
def test_each_class_has_at_least_one_image_in_each_split(bars, fraction, count):
    images = find_labeled_images(bars, fraction, 0)
    assert images.labels("validation") == [0] * count + [1] * count


def test_given_train_and_validation_folders_are_used(bars, tmp_path):
    folder = make_folder(bars, tmp_path / "data", train=("a", "b"), validation=("b", "a"))
    (folder / "validation" / "a" / "00.png").unlink()
    images = find_labeled_images(folder, 0.2, 0)
    assert images.labels("validation") == [0] * 11 + [1] * 12
    assert all(path.is_file() and path.relative_to(folder).parts[0] == "train" for path in images.paths("train"))
    assert images.labels("train") == [0] * 12 + [1] * 12


def test_unreadable_images_are_skipped_with_the_reason(bars):
    (bars / "lying" / "a_text.png").write_text("no image")
    (bars / "standing" / "b_empty.jpg").touch()
    (bars / "standing" / "notes.txt").write_text("no image, and does not claim to be one")
    images = find_labeled_images(bars, 0.25, 0)
    skipped = {image.path.as_posix(): image.reason for image in images.split("skipped")}
    assert list(skipped) == ["lying/a_text.png", "standing/b_empty.jpg"]
    assert "is not an image in a format" in skipped["lying/a_text.png"]
    assert "is empty (0 bytes)" in skipped["standing/b_empty.jpg"]
    assert len(images.labels("train")) + len(images.labels("validation")) == 24


def test_the_checksum_depends_on_content_names_and_splits(bars):
    sums = [
        find_labeled_images(bars, 0.25, 0).sha256,
        find_labeled_images(bars, 0.25, 0).sha256,
        find_labeled_images(bars, 0.25, 1).sha256,
    ]
    Image.new("RGB", (40, 40)).save(bars / "lying" / "05.png")
    sums.append(find_labeled_images(bars, 0.25, 0).sha256)
    (bars / "lying" / "05.png").rename(bars / "lying" / "99.png")
    sums.append(find_labeled_images(bars, 0.25, 0).sha256)
    assert sums[0] == sums[1]
    assert len(set(sums)) == 4


def test_invalid_data_folders(bars, tmp_path):
    empty = tmp_path / "empty"
    (empty / ".hidden").mkdir(parents=True)
    one = make_folder(bars, tmp_path / "one", cats=("",))
    hollow = make_folder(bars, tmp_path / "hollow", a=("",), b=("",))
    for path in (hollow / "b").glob("*.png"):
        path.write_text("broken")
    single = make_folder(bars, tmp_path / "single", a=("",))
    (single / "dog").mkdir()
    shutil.copy(bars / "lying" / "00.png", single / "dog")
    alone = make_folder(bars, tmp_path / "alone", train=("a", "b"))
    for folder, message in [
        (tmp_path / "missing", "Cannot read the data folder .*missing: No such file"),
        (empty, "contains no classes; expected a folder of images for each of two"),
        (one, "contains one class, 'cats'; expected"),
        (hollow, "There are no readable training images of 'b' in .*; 12 images cannot be read"),
        (single, "The class 'dog' has 1 readable image; expected 2 or more"),
        (alone, "contains one class, 'train'; .* it needs a validation folder too"),
    ]:
        with pytest.raises(InputError, match=message):
            find_labeled_images(folder, 0.2, 0)


def test_splits_with_different_classes(bars, tmp_path):
    folder = make_folder(bars, tmp_path / "data", train=("cat", "dog", "emu"), validation=("cat", "fox"))
    with pytest.raises(InputError, match="differ: dog, emu only in train; fox only in validation"):
        find_labeled_images(folder, 0.2, 0)


def test_a_class_without_validation_images(bars, tmp_path):
    folder = make_folder(bars, tmp_path / "data", train=("a", "b"), validation=("a", "b"))
    shutil.rmtree(folder / "validation" / "b")
    (folder / "validation" / "b").mkdir()
    with pytest.raises(InputError, match=r"no readable validation images of 'b' in"):
        find_labeled_images(folder, 0.2, 0)


@pytest.mark.parametrize("fraction", [0, 1, -0.1, float(np.nan)])
def test_a_fraction_out_of_range(bars, fraction):
    with pytest.raises(OptionError, match="expected a fraction between 0 and 1"):
        find_labeled_images(bars, fraction, 0)
