"""Folders of class folders and many images: what is found, written and printed."""

import io
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from seewhy.cli import result_printer
from seewhy.cli.result_printer import ResultPrinter

NETS = """
import torch
import seewhy

def build():
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(),
        torch.nn.Linear(4, 2),
    )
    preprocessing = seewhy.Preprocessing(size=(8, 8), std=255.0)
    return seewhy.Classifier(model, preprocess=preprocessing, class_names=["cat", "dog"])
"""


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """A folder with two class folders of images of the same names, and files that are not images."""
    random = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(12):
            pixels = random.integers(0, 256, (9, 8, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{number:02}.png")
    (tmp_path / "photos" / "labels.csv").touch()
    (tmp_path / "photos" / "dog" / "clip.mp4").touch()
    (tmp_path / "nets.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path / "photos"


@pytest.mark.usefixtures("photos")
def test_the_folders_of_the_files_are_those_of_the_images(run, tmp_path):
    code, out, err = run("explain", "photos", "--model", "nets:build")
    assert (code, err) == (0, "")
    written = sorted(
        str(path.relative_to(tmp_path / "explanations")) for path in (tmp_path / "explanations").rglob("*.png")
    )
    assert written == [f"{name}/{number:02}_gradcam.png" for name in ("cat", "dog") for number in range(12)]
    assert "photos/cat/00.png: " in out


def test_what_is_printed_is_bounded(run, photos):
    (photos / "cat" / "bad.png").write_text("no image")
    code, out, err = run("explain", "photos", "none.png", "--model", "nets:build", "--format", "png,json")
    lines = out.splitlines()
    assert code == 1
    assert re.fullmatch(
        r"photos/cat/00\.png: (cat|dog) 0\.\d{3}; wrote explanations/cat/00_gradcam\.png and 1 more", lines[0]
    )
    assert lines[20] == "further images are not listed; --json lists all"
    assert lines[21] == "explained 24 images; wrote 48 files to explanations"
    counts = dict(part.split() for part in lines[22].removeprefix("predictions: ").split(", "))
    assert set(counts) <= {"cat", "dog"}
    assert sum(map(int, counts.values())) == 24
    assert lines[23] == "failed: 2; the errors are above"
    assert lines[24:] == ["skipped 2 files without the suffix of an image: photos/dog/clip.mp4, photos/labels.csv"]
    assert len(err.splitlines()) == 2


def test_many_errors_and_skipped_files_are_counted(run, photos):
    for number in range(15):
        (photos / "cat" / f"bad{number}.png").write_text("no image")
        (photos / f"{number:02}.txt").touch()
    code, out, err = run("explain", "photos", "--model", "nets:build")
    assert code == 1
    assert len(err.splitlines()) == 10
    assert out.splitlines()[-2] == "failed: 15; the first 10 errors are above, and --json lists all"
    assert out.splitlines()[-1].endswith("photos/09.txt and 7 more")


@pytest.mark.usefixtures("photos")
def test_json_lists_everything(run):
    code, out, _ = run("explain", "photos", "--model", "nets:build", "--json")
    found = json.loads(out)
    assert code == 0
    assert len(found["explanations"]) == 24
    assert found["skipped"] == ["photos/dog/clip.mp4", "photos/labels.csv"]


@pytest.mark.parametrize(
    ("stdout", "stderr", "is_silent", "bar"),
    [
        (True, True, False, "stdout"),  # one terminal: the results are above the bar
        (False, True, False, "stderr"),
        (True, True, True, "stderr"),  # JSON, and nothing else, on standard output
        (True, False, True, None),
        (False, False, False, None),
    ],
)
def test_a_progress_bar_is_on_a_terminal_and_not_among_the_results(monkeypatch, stdout, stderr, is_silent, bar):
    files = {"stdout": io.StringIO(), "stderr": io.StringIO()}

    def console(*, stderr=False, **options):
        name = "stderr" if stderr else "stdout"
        return Console(file=files[name], force_terminal=terminals[name], width=80, **options)

    terminals = {"stdout": stdout, "stderr": stderr}
    monkeypatch.setattr(result_printer, "Console", console)
    printer = ResultPrinter(5, is_silent=is_silent)
    for number in printer.with_progress_bar(range(5)):
        printer.print_file(f"{number}.png")
    assert [name for name, file in files.items() if "Explaining" in file.getvalue()] == ([bar] if bar else [])
    assert ("wrote 4.png" in files["stdout"].getvalue()) is not is_silent


@pytest.mark.usefixtures("photos")
def test_quiet_prints_errors_only(run):
    code, out, err = run("explain", "photos", "none.png", "--model", "nets:build", "--quiet")
    assert (code, out, err) == (2, "", "Error: There is no image at none.png.\n")


@pytest.mark.usefixtures("photos")
def test_the_output_folder_is_not_explained_the_next_time(run):
    for _ in range(2):
        code, out, _ = run("explain", "photos", "--model", "nets:build", "--out", "photos/out")
        assert (code, "explained 24 images; wrote 24 files" in out) == (0, True)


def test_output_in_a_pipe_is_plain_and_independent_of_the_terminal(photos):
    def piped(columns):
        command = [
            sys.executable,
            "-m",
            "seewhy",
            "explain",
            "photos/cat/00.png",
            "--model",
            "nets:build",
            "--targets",
            "cat",
        ]
        environment = {**os.environ, "COLUMNS": columns}
        return subprocess.run(command, capture_output=True, check=True, env=environment, cwd=photos.parent).stdout

    out = piped("20")
    assert out == piped("200")
    assert out.isascii()
    assert b"\x1b" not in out


@pytest.mark.usefixtures("photos")
def test_layers_methods_and_models_as_json(run):
    code, out, _ = run("layers", "nets:build", "--json")
    found = json.loads(out)
    assert (code, found["auto"], found["default"]) == (0, "1", None)
    assert found["layers"][0] == {
        "path": "0", "call": 1, "type": "Conv2d", "output_shape": [6, 6, 4], "is_candidate": True,
    }  # fmt: skip
    code, out, _ = run("methods", "--json")
    methods = {method["name"]: method for method in json.loads(out)["methods"]}
    assert code == 0
    assert methods["rise"]["options"]["masks"] == 4000
    assert methods["gradcam"]["paper"] == "1610.02391"
    code, out, _ = run("models", "efficientnet-lite0", "--json")
    assert code == 0
    assert json.loads(out) == {
        "models": [
            {
                "name": "efficientnet-lite0",
                "input_size": [224, 224],
                "parameters": 4_652_008,
                "weights": "installed with the extra 'demo'",
            }
        ]
    }


@pytest.mark.usefixtures("photos")
def test_only_layers_that_can_be_explained_are_suggested(run):
    """The flatten layer, "3", is similar to "3x", but has no positions."""
    code, _, err = run("explain", "photos/cat/00.png", "--model", "nets:build", "--layer", "00")
    assert code == 2
    assert err == (
        "Error: There is no layer '00' in the model. Did you mean '0'? 'seewhy layers MODEL' lists the layers that "
        "can be explained.\n"
    )
    code, _, err = run("explain", "photos/cat/00.png", "--model", "nets:build", "--layer", "33")
    assert (code, "Did you mean" in err, "'seewhy layers MODEL' lists" in err) == (2, False, True)
    code, _, err = run("explain", "photos/cat/00.png", "--model", "nets:build", "--layer", "3")
    assert (code, "'seewhy layers MODEL' lists the layers that can" in err) == (2, True)


def test_what_the_command_line_translates_is_what_the_library_says():
    """Each phrase of `WORDS` occurs in a message of the library."""
    from pathlib import Path

    import seewhy
    from seewhy.cli.error_messages import WORDS

    sources = "".join(path.read_text("utf-8") for path in Path(seewhy.__file__).parent.rglob("*.py"))
    plain = re.sub(r'"\s*\n\s*f?"', "", sources)
    for in_python in WORDS:
        assert plain.count(in_python) >= 2  # in the table and in a message
