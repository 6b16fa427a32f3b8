"""`--device`, `--batch-size`, `--recursive` and `--limit`: one meaning and one text on all commands that have them."""

import json
import re
import sys

import numpy as np
import pytest
from PIL import Image
from tests.cli.test_errors_command import RED_OR_BLUE
from tests.cli.test_evaluate import ARGUMENTS
from tests.cli.test_help import help_text

from seewhy import datasets
from seewhy.cli import main

COMMANDS = {
    "--device": ("explain", "inspect", "layers", "batch", "evaluate", "errors", "serve"),
    "--batch-size": ("explain", "batch", "evaluate", "errors"),
    "--recursive": ("explain", "batch", "evaluate", "errors"),
    "--limit": ("explain", "batch", "evaluate"),
}

NETS = """
import torch
import seewhy

SIZES = []

class Recorded(torch.nn.Module):
    def forward(self, images):
        SIZES.append(len(images))
        return images

def build():
    torch.manual_seed(0)
    model = torch.nn.Sequential(Recorded(), torch.nn.Conv2d(3, 2, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1),
                                torch.nn.Flatten())
    return seewhy.Classifier(model, preprocess=seewhy.Preprocessing(size=(8, 8), std=255.0), class_names=["a", "b"])
"""


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Four images in a folder, of which two are in a subfolder."""
    random = np.random.default_rng(0)
    (tmp_path / "photos" / "more").mkdir(parents=True)
    for name in ("1", "2", "more/3", "more/4"):
        pixels = random.integers(0, 256, (9, 8, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{name}.png")
    (tmp_path / "nets.py").write_text(NETS, "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path / "photos"


def explained(run, *arguments):
    code, out, err = run("explain", "photos", "--model", "nets:build", "--json", *arguments)
    assert (code, err) == (0, "")
    return [each["image"].removeprefix("photos/") for each in json.loads(out)["explanations"]]


def keys(output):
    """Return the keys of the images of a run, in their order."""
    return output.table(["key"])["key"].to_pylist()


@pytest.mark.parametrize("option", COMMANDS)
def test_an_option_has_the_same_text_in_all_commands(capsys, option):
    found = set()
    for command in COMMANDS[option]:
        text = " ".join(help_text(capsys, [command], 100).split())
        found.add(re.search(rf"{option}\b.*?(?= --[a-z])", text.replace("--no-recursive", "/no-recursive"))[0])
    assert len(found) == 1
    assert option in found.pop()


def test_explain_takes_the_first_images_and_no_subfolders(run, photos):
    every = ["1.png", "2.png", "more/3.png", "more/4.png"]
    assert explained(run) == explained(run, "--recursive") == every
    assert explained(run, "--limit", "3") == every[:3]
    assert explained(run, "--limit", "9") == every
    assert explained(run, "--no-recursive") == every[:2]
    code, _, err = run("explain", "photos", "--limit", "0")
    assert (code, "Invalid value for '--limit'" in err) == (2, True)
    for path in photos.glob("?.png"):
        path.unlink()
    code, _, err = run("explain", "photos", "--no-recursive")
    assert code == 2
    assert err.startswith("Error: photos contains no images: 0 files, none with the suffix of an image")


@pytest.mark.usefixtures("photos")
def test_the_batch_size_is_the_number_of_images_and_of_perturbations_that_run_at_once(run):
    def sizes(*arguments):
        explained(run, *arguments)
        return set(sys.modules.pop("nets").SIZES)

    # A few images are explained one by one; other runs, of up to four inputs, measure what the model does with them.
    gradcam = ("--layer", "2", "--method", "gradcam")
    assert 3 not in sizes(*gradcam)
    assert 3 in sizes(*gradcam, "--batch-size", "3")
    rise = ("--layer", "2", "--method", "rise", "--set", "masks=40", "--limit", "1")
    assert max(sizes(*rise)) == 16
    assert max(sizes(*rise, "--batch-size", "5")) == 5


def test_a_data_set_may_be_limited_and_the_run_goes_on_with_the_same_limit_only(run, photos):
    command = ("batch", "photos", "--model", "nets:build", "--chunk-size", "2", "--quiet")
    assert run(*command, "--out", "first", "--limit", "3")[0] == 0
    output = datasets.open("first")
    assert keys(output) == ["1.png", "2.png", "more/3.png"]
    assert output.is_complete
    code, _, err = run(*command, "--out", "first", "--limit", "4", "--resume")
    assert code == 2
    assert "; limit: 3 then, 4 now" in err
    assert run(*command, "--out", "flat", "--no-recursive")[0] == 0
    assert keys(datasets.open("flat")) == ["1.png", "2.png"]
    assert run(*command, "--out", "all", "--batch-size", "3")[0] == 0
    assert datasets.open("all").settings["batch_size"] == 3
    (photos.parent / "list.txt").write_text("photos/1.png\nphotos/2.png\n", "utf-8")
    assert run("batch", "list.txt", "--model", "nets:build", "--quiet", "--out", "listed", "--limit", "1")[0] == 0
    assert keys(datasets.open("listed")) == ["photos/1.png"]


def test_the_remote_files_of_a_folder_without_its_subfolders(run, photos):
    url = f"file://{photos}"
    assert run("batch", url, "--model", "nets:build", "--quiet", "--out", "flat", "--no-recursive")[0] == 0
    assert keys(datasets.open("flat")) == ["1.png", "2.png"]


def test_a_study_may_be_limited(run, photos):
    (photos.parent / "nets.py").write_text("from tests.evaluate.quadrant_model import quadrant_classifier as build")
    command = ("evaluate", "photos", *ARGUMENTS, "--metrics", "gini", "--json")
    for arguments, names in (
        (["--limit", "3"], ["1.png", "2.png", "more/3.png"]),
        (["--no-recursive"], ["1.png", "2.png"]),
    ):
        code, _, _ = run(*command, *arguments, "--out", "-".join(arguments).strip("-"))
        assert code == 0
        values = (photos.parent / "-".join(arguments).strip("-") / "values.csv").read_text("utf-8").splitlines()
        column = values[0].split(",").index("image")
        assert sorted({line.split(",")[column] for line in values[1:]}) == names


def test_the_misclassified_images_of_folders_without_subfolders(run, tmp_path, monkeypatch):
    for name in ("red/0", "red/more/1", "blue/2"):
        path = tmp_path / "data" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), (0, 0, 255), np.uint8)).save(path)
    (tmp_path / "colours.py").write_text(RED_OR_BLUE, "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "colours", raising=False)
    _, out, _ = run("errors", "colours:build", "data", "--batch-size", "1")
    assert out.splitlines()[0] == "2 of 3 images are misclassified"
    _, out, _ = run("errors", "colours:build", "data", "--no-recursive")
    assert out.splitlines()[0] == "1 of 2 images are misclassified"


@pytest.mark.usefixtures("photos")
@pytest.mark.parametrize(
    "command",
    [
        ["explain", "photos", "--model"],
        ["inspect", "photos/1.png", "--model"],
        ["layers"],
        ["batch", "photos", "--out", "out", "--model"],
        ["evaluate", "photos", "--out", "out", "--model"],
        ["serve", "--port", "0", "--model"],
    ],
    ids=lambda command: command[0],
)
def test_a_device_that_is_not_here_is_refused_in_the_words_of_the_command_line(monkeypatch, capfd, command):
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["seewhy", *command, *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        return end.value.code, capfd.readouterr().err.splitlines()[-1]

    code, error = run("efficientnet-lite0-torch", "--device", "cdua")
    assert (code, error.startswith("Error: Unknown device 'cdua'. Did you mean 'cuda'?")) == (2, True)
    code, error = run("torchvision:resnet18", "--weights", "none", "--device", "xpu:5")
    assert code == 2
    assert error.startswith("Error: There is no device xpu:5: PyTorch finds cpu")
    assert error.endswith("on this machine. Give one of these, or leave out --device.")
