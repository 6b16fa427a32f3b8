"""Mistakes that are found before a framework is imported or a model is loaded."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from seewhy.models.registry import ModelSpec

SLOW = ("numpy", "PIL", "matplotlib", "keras", "tensorflow", "jax", "torch", "rich")

PROGRAM = """
import sys
from seewhy.cli import main
try:
    main()
except SystemExit as end:
    print(end.code, *[name for name in sys.argv[1].split(",") if name in sys.modules], file=sys.stderr)
"""


@pytest.fixture
def never_loaded(monkeypatch):
    def load(self, **_):
        raise AssertionError(f"{self.source} was loaded")

    monkeypatch.setattr(ModelSpec, "load", load)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    for name in ("one", "two"):
        (tmp_path / "data" / name).mkdir(parents=True)
    (tmp_path / "file").touch()
    (tmp_path / "weights.pt").touch()
    np.savez(tmp_path / "wrong.npz", x_train=np.zeros(3))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("command", [["explain", "missing.jpg"], ["inspect", "missing.jpg"]])
def test_a_missing_image_imports_no_library(tmp_path, command):
    code = PROGRAM.replace("sys.argv[1]", repr(",".join(SLOW)))
    finished = subprocess.run(
        [sys.executable, "-c", code, *command],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=os.environ,
    )
    assert finished.stderr.splitlines()[-1].strip() == "2"
    assert finished.stderr.startswith("Error: There is no image at missing.jpg.")


@pytest.mark.usefixtures("folder")
def test_missing_images_as_json(run):
    code, out, _ = run("explain", "missing.jpg", "none/*.png", "--json")
    found = json.loads(out)
    assert (code, found["explanations"]) == (2, [])
    assert [error["image"] for error in found["errors"]] == ["missing.jpg", "none/*.png"]


@pytest.mark.usefixtures("never_loaded", "folder")
@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ("explain a.png --targets tabbi", 2, "There is no class 'tabbi'. Did you mean 'tabby'"),
        ("explain a.png --targets top-0", 2, "'top-0' selects no class"),
        ("explain a.png --targets 1000", 2, "There is no class '1000': the model has classes 0 to 999"),
        ("explain a.png --targets=-1", 2, "There is no class '-1': the model has classes 0 to 999"),
        ("explain a.png --targets 0 --model vgg16 --model vgg", 2, "Unknown model 'vgg'. Did you mean"),
        ("explain a.png --method gradcan", 2, "Unknown method 'gradcan'"),
        ("explain a.png --method rise --set mask=9", 2, "Unknown option 'mask' in --set"),
        ("explain a.png --method rise --set masks=0", 2, "masks is 0; expected an integer, 1 or more"),
        ("explain a.png --method occlusion --set window=(3,0)", 2, "window is 0; expected an integer, 1 or more"),
        ("explain a.png --format gift", 2, "Cannot write the format 'gift'"),
        ("explain a.png --colormap jett", 2, "Unknown colour map 'jett'"),
        ("explain a.png --alpha 2", 2, "alpha is 2.0"),
        ("explain a.png --out file/x", 1, "is a file. Give another folder with --out."),
        ("explain a.png --model none.keras", 2, "There is no file none.keras."),
        ("explain a.png --model none", 2, "Unknown model 'none'"),
        ("explain a.png --model weights.pt", 2, "--architecture timm:resnet18 --class-names FILE --preprocessing"),
        ("explain a.png --model weights.pt --architecture file.keras", 2, "is a file; expected a name"),
        ("explain a.png --model weights.pt --architecture resnet18", 2, "prefix: timm:resnet18, torchvision:resnet18"),
        ("layers resnet18", 2, "prefix: timm:resnet18, torchvision:resnet18"),
        ("explain a.png --architecture timm:resnet18", 2, "is for a file with weights only"),
        ("explain a.png --class-names none.txt", 2, "There is no file none.txt with the class names"),
        ("explain a.png --class-names file", 2, "file does not contain class names: it is empty"),
        ("explain a.png --input-size 0", 2, "input_size is 0; expected"),
        ("explain a.png --input-size 2x3x4x5", 2, "--input-size is '2x3x4x5'; expected a side"),
        ("explain a.png --preprocessing imagenett", 2, "Unknown preprocessing 'imagenett'. Did you mean 'imagenet'"),
        ("explain a.png --weights none.h5", 2, "Unknown weights 'none.h5'"),
        ("inspect a.png --channels x", 2, "--channels is 'x'; expected channel numbers"),
        ("inspect a.png --out file", 1, "is a file. Give another folder with --out."),
        ("inspect data", 2, "data is a folder; expected an image."),
        ("layers none.keras", 2, "There is no file none.keras."),
        ("layers os:getcwd", 2, "'os' is a module of Python itself"),
        ("errors none", 2, "does not contain a run"),
        ("errors vgg16", 2, "For any other model, add the folder of class folders: seewhy errors vgg16 DATA."),
        ("errors vgg16 none", 2, "Cannot read the data folder none"),
        ("errors vgg16 data --method gradcan", 2, "Unknown method 'gradcan'"),
        ("errors vgg data", 2, "Unknown model 'vgg'"),
        ("train digits --data none.npz", 2, "none.npz"),
        ("train digits --data wrong.npz", 2, "wrong.npz"),
        ("train digits --data none.npz --epochs 0", 2, "Invalid value for '--epochs'"),
        ("models vgg", 2, "Unknown model 'vgg'. Did you mean 'vgg19'"),
        ("train transfer data --base vgg", 2, "Unknown model 'vgg'. Did you mean 'vgg19'"),
        ("train transfer none", 2, "Cannot read the data folder none"),
        ("train transfer data --out data", 2, "data is not an empty folder"),
    ],
)
def test_mistakes_are_found_before_a_model_is_loaded(run, arguments, code, message):
    exit_code, out, err = run(*arguments.split())
    assert (exit_code, out) == (code, "")
    assert message in " ".join(err.split())


@pytest.mark.usefixtures("never_loaded", "folder")
def test_figures_without_matplotlib_are_refused_before_a_model_is_loaded(run_cold, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for options in (
        "explain a.png --targets top-2",
        "explain a.png --targets 1,2 --format html,jpg",
        "explain a.png --figure panels",
        "explain a.png --method gradcam,layercam",
        "explain a.png --model vgg16 --model vgg19",
        "explain a.png --together",
        "explain a.png --colorbar",
        "explain a.png --format svg",
        "inspect a.png",
        "errors data data",
        "train transfer data",
    ):
        code, out, err = run_cold(*options.split())
        assert (code, out) == (2, ""), options
        assert "matplotlib is not installed. Install it with: pip install" in err, options
    for options in (
        "",
        "--targets top-2 --figure overlay",
        "--targets top-2 --format html,gif,npz",
        "--figure overlay",
    ):
        with pytest.raises(AssertionError, match="was loaded"):
            run_cold("explain", "a.png", *options.split())
