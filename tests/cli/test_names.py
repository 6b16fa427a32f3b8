"""Names of files and classes that are no valid Unicode, or very long: nothing is lost."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.cli.test_cli import ENTRY_POINT
from tests.cli.test_many_images import NETS

import seewhy
from seewhy import Classifier
from seewhy.cli.output_files import MAX_LABEL_BYTES, MAX_STEM_BYTES, fitting_stem, target_labels
from seewhy.images.figure import Panel, draw_panels, render
from seewhy.images.text import printable
from seewhy.models.class_names import ClassNames
from seewhy.results.target_result import TargetResult

NOT_UTF8 = os.fsdecode(b"caf\xe9")
LONE = "dog\ud800"


needs_unicode_names = pytest.mark.skipif(
    sys.getfilesystemencoding() != "utf-8", reason="the locale's encoding cannot name files with letters beyond ASCII"
)


@pytest.fixture
def photo(examples):
    return Image.open(examples / "cat.png")


def data_of(report):
    """Return the JSON in a report's script elements."""
    text = report.read_bytes().decode("utf-8")
    parts = text.split('<script type="application/json" id="')[1:]
    return [json.loads(part.partition('">')[2].partition("</script>")[0]) for part in parts]


@pytest.mark.parametrize(
    ("text", "shown"), [("a", "a"), (NOT_UTF8, "caf\\xe9"), (LONE, "dog\\ud800"), ("猫🐈", "猫🐈")]
)
def test_printable(text, shown):
    assert printable(text) == shown


@given(st.text(st.characters(), max_size=20))
def test_any_text_is_printable(text):
    assert printable(text).encode("utf-8").decode("utf-8") == printable(text)


def test_one_file_name_that_is_not_utf8_does_not_lose_the_report(tmp_path, photo, run):
    folder = tmp_path / NOT_UTF8
    folder.mkdir()
    for name in (NOT_UTF8, "plain"):
        photo.save(folder / f"{name}.png")
    out = tmp_path / "out"
    formats = "png,html,json,npz"
    code, _, errors = run("explain", folder, "--out", out, "--format", formats, "--label-by-folder", "--together")
    assert (code, "1 of 1 folders do not name a class" in errors, "'caf\\xe9'" in errors) == (2, True, True)
    code, _, errors = run("explain", folder, "--out", out, "--format", formats, "--together")
    assert (code, errors) == (0, "")
    summary, *images = data_of(out / "report.html")
    assert sorted(image["name"] for image in images) == ["caf\\xe9.png", "plain.png"]
    assert len(summary["images"]) == 2
    written = {path.name for path in out.iterdir()}
    assert {f"{NOT_UTF8}_gradcam.png", f"{NOT_UTF8}_gradcam.json", "plain_gradcam.png"} <= written


@needs_unicode_names
def test_names_are_printed_byte_for_byte(tmp_path, photo):
    """In a locale that has other characters too few: nothing fails, and a program reads the name of the file."""
    photo.save(tmp_path / f"{NOT_UTF8}.png")
    (tmp_path / "nets.py").write_text(NETS)  # in PyTorch, which starts sooner than TensorFlow
    for encoding in ("utf-8", "ascii"):
        command = [ENTRY_POINT, "explain", f"{NOT_UTF8}.png", "--model", "nets:build", "--out", "猫"]
        finished = subprocess.run(
            command, capture_output=True, check=False, cwd=tmp_path, env={**os.environ, "PYTHONIOENCODING": encoding}
        )
        assert finished.returncode == 0, finished.stderr
        expected = "猫" if encoding == "utf-8" else "\\u732b"
        assert f"wrote {expected}/".encode() + b"caf\xe9_gradcam.png" in finished.stdout


def test_class_names_with_lone_surrogates(tmp_path, photo):
    first = keras.layers.Conv2D(2, 3, activation="relu")
    last = keras.layers.Dense(2, name="last")
    model = keras.Sequential([keras.Input((8, 8, 3)), first, keras.layers.GlobalAveragePooling2D(), last])
    last.bias.assign([0, 9])
    preprocessing = seewhy.Preprocessing(size=(8, 8), std=255.0)
    classifier = Classifier(model, preprocess=preprocessing, class_names=[LONE, "cat\udce9"])
    explanation = seewhy.explain(classifier, photo, [LONE, "top-1"])
    assert [target.name for target in explanation.targets] == ["dog\\ud800", "cat\\xe9"]
    assert explanation.predictions[0].name == "cat\\xe9"
    for suffix in ("html", "json", "png", "npz"):
        explanation.save(tmp_path / f"a.{suffix}")
    explanation.save(tmp_path / "bars.png", "probabilities")
    _, image = data_of(tmp_path / "a.html")
    assert image["predictions"][0]["name"] == "cat\\xe9"
    classifier.save(tmp_path / "model.keras")
    assert seewhy.load(tmp_path / "model.keras").find_class(LONE) == 0


def test_class_names_are_found_by_the_name_that_was_given_and_by_the_one_that_is_shown():
    names = ClassNames([LONE, "cat"], ids=["n\ud8001", "n2"], synonyms=[["a\udfff"], ["b"]])
    for query in (LONE, "dog\\ud800", "n\ud8001", "a\udfff"):
        assert names.find(query) == 0


def test_a_figure_shows_titles_with_lone_surrogates():
    pixels = np.zeros((8, 8, 3), np.uint8)
    figure = draw_panels([Panel(LONE, pixels)], columns=1, colormap="jet", title=NOT_UTF8)
    assert render(figure).size > 0


@pytest.mark.parametrize(
    "letter",
    [
        pytest.param("x", marks=pytest.mark.slow(reason="a cold start; a longer letter shows the same")),
        pytest.param("猫", marks=needs_unicode_names),
    ],
)
def test_an_image_whose_name_is_as_long_as_names_may_be_is_explained_and_written(tmp_path, photo, run, letter):
    longest = 251 // len(letter.encode())
    names = [letter * longest + ".png", letter * (longest - 1) + ".png"]
    for name in names:
        photo.save(tmp_path / name, "PNG")
    out = tmp_path / "out"
    arguments = ("--targets", "tabby,285", "--format", "png,json", "--figure", "overlay", "--out", out)
    code, _, errors = run("explain", *(tmp_path / name for name in names), *arguments)
    assert (code, errors) == (0, "")
    assert len(list(out.iterdir())) == 6
    code, _, errors = run("explain", tmp_path / names[0], "--method", "gradcam,layercam", "--out", tmp_path / "grid")
    assert (code, errors) == (0, "")
    code, _, errors = run("inspect", tmp_path / names[0], "--out", tmp_path / "inspected")
    assert (code, errors) == (0, "")


def test_a_file_with_the_longest_name_is_written_by_the_library(tmp_path, lite0_explainer, photo):
    (explanation,) = lite0_explainer.explain([photo])
    assert explanation.save(tmp_path / ("x" * 251 + ".png")).exists()


@needs_unicode_names
@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(image=st.text(max_size=300), rest=st.lists(st.text(max_size=300), max_size=3))
def test_a_stem_fits_and_is_unchanged_if_it_did(image, rest):
    image, *rest = (text.encode("utf-8", "replace").decode() for text in (image, *rest))
    stem = fitting_stem(image, *rest)
    assert len(os.fsencode(stem)) <= 215
    if len(os.fsencode("_".join([image, *rest]))) <= 107:
        assert stem == "_".join([image, *rest])


@pytest.mark.parametrize("name", ["a\0.png", "\0", "-" * 5000, "x" * 5000 + "/*.png", "[" * 5000, "**/" * 2000 + "*"])
def test_images_with_impossible_names_are_errors_of_the_image(run, name):
    if "\0" in name:
        with pytest.raises(seewhy.errors.ImageError):
            seewhy.images.reading.read(name)
    code, _, errors = run("explain", "--", name)
    assert code in (1, 2)
    assert errors.startswith("Error: ")


@pytest.mark.skipif(sys.platform != "linux", reason="a device of Linux")
def test_a_device_is_not_an_image(run, tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path / "pipe.png", "/dev/zero"):
        code, _, errors = run("explain", path)
        assert code == 1
        assert "is a FIFO, a device or a socket, not a regular file" in errors


def test_each_target_without_an_index_has_a_file_of_its_own():
    names = ["output 0", "output 1", "output-0", "output 0", "é" * 100, "é" * 101]
    targets = [TargetResult(-1, name, 0.0, None, True) for name in names]
    labels = target_labels([TargetResult(281, "tabby", 0.0, None, True), *targets])
    accents = "é" * 12 if sys.getfilesystemencoding() == "utf-8" else "-"  # file names cannot have them elsewhere
    assert labels == ["281", "output-0", "output-1", "output-0-4", "output-0", accents, f"{accents}-6"]
    assert MAX_STEM_BYTES + MAX_LABEL_BYTES + len("_-999-9999.jpeg") <= 255
