"""The images that a path, a folder or a pattern names."""

import os
from pathlib import Path

import pytest

from seewhy.errors import ImageError, ImageNotFoundError
from seewhy.images.finding import find_images


def create(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def found(path, **options):
    return [image.path for image in find_images(str(path), **options).images]


def test_a_folder_is_searched_with_its_subfolders(tmp_path):
    create(tmp_path, "b.JPG", "cat/2.png", "cat/1.png", "dog/1.webp", "dog/young/1.png", "notes.txt", "dog/labels.csv")
    create(tmp_path, ".hidden.png", ".cache/1.png", "cat/.thumb.png")
    images, skipped = find_images(str(tmp_path))
    expected = ["b.JPG", "cat/1.png", "cat/2.png", "dog/1.webp", "dog/young/1.png"]
    assert [image.path for image in images] == [tmp_path / name for name in expected]
    assert [str(image.folder) for image in images] == [".", "cat", "cat", "dog", "dog/young"]
    assert skipped == [tmp_path / "dog" / "labels.csv", tmp_path / "notes.txt"]


def test_the_output_folder_is_not_searched_unless_it_is_the_folder_itself(tmp_path):
    create(tmp_path, "1.png", "out/1_gradcam.png", "out/sub/2.png")
    assert found(tmp_path, outside=tmp_path / "out") == [tmp_path / "1.png"]
    assert found(tmp_path / "out", outside=tmp_path / "out") == [
        tmp_path / "out" / "1_gradcam.png",
        tmp_path / "out" / "sub" / "2.png",
    ]
    assert found(tmp_path, outside=tmp_path / "none") == found(tmp_path)


def test_links_to_folders_are_followed_once(tmp_path):
    create(tmp_path, "real/1.png", "set/0.png")
    (tmp_path / "set" / "cats").symlink_to(tmp_path / "real")
    (tmp_path / "set" / "loop").symlink_to(tmp_path / "set")
    assert found(tmp_path / "set") == [tmp_path / "set" / "0.png", tmp_path / "set" / "cats" / "1.png"]


def test_patterns(tmp_path):
    create(tmp_path, "b.JPG", "a.png", "sub/c.png", "cat[1].png")
    (tmp_path / "d.png").mkdir()
    assert found(f"{tmp_path}/[ab].*") == [tmp_path / "a.png", tmp_path / "b.JPG"]
    assert found(f"{tmp_path}/**/c.png") == [tmp_path / "sub" / "c.png"]
    assert found(f"{tmp_path}/cat[1].png") == [tmp_path / "cat[1].png"]  # a file whose name looks like a pattern
    with pytest.raises(ImageNotFoundError, match=r"No file matches .*/\*\.gif"):
        find_images(f"{tmp_path}/*.gif")


def test_a_missing_file_and_a_folder_without_images(tmp_path):
    create(tmp_path, "a.txt", "sub/b.csv", "empty/.keep")
    for path in (tmp_path / "none.png", tmp_path / "a.txt" / "b.png"):
        with pytest.raises(ImageNotFoundError, match=f"There is no image at {path}"):
            find_images(str(path))
    with pytest.raises(ImageNotFoundError, match="contains no images, nor do its subfolders: 2 files, none with"):
        find_images(str(tmp_path))


@pytest.mark.parametrize("where", ["{}/a**b/*.png", "{}/" + "x" * 300 + "*", "{}/" + "x" * 5000, "a\0b.png"])
def test_a_path_that_cannot_be_searched_is_refused(tmp_path, where):
    with pytest.raises(ImageError, match=r"cannot be searched|cannot be read|No file matches"):
        find_images(where.format(tmp_path))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_a_folder_that_may_not_be_read_is_an_error(tmp_path):
    create(tmp_path, "a.png", "secret/b.png")
    (tmp_path / "secret").chmod(0)
    try:
        with pytest.raises(ImageError, match="cannot be searched: Permission denied"):
            find_images(str(tmp_path))
    finally:
        (tmp_path / "secret").chmod(0o700)


def test_paths_are_relative_if_they_were_given_so(tmp_path, monkeypatch):
    create(tmp_path, "photos/1.png")
    monkeypatch.chdir(tmp_path)
    assert found("photos") == [Path("photos/1.png")]
