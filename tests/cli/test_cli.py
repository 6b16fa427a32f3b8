"""The command line, through its installed entry point and, faster, through the same function in this process."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.hardware import skip_unless_tensorflow_runs_bfloat16

import seewhy
from seewhy.errors import install_command
from seewhy.models.application_sizes import ApplicationSize, SizeCache
from seewhy.models.keras_applications import applications

ENTRY_POINT = Path(sys.executable).parent / "seewhy"


def run_installed(*arguments, cwd, **environment):
    command = [ENTRY_POINT, *map(str, arguments)]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={**os.environ, "COLUMNS": "200", **environment},
    )


def test_a_photo_from_a_cold_start(tmp_path, examples):
    finished = run_installed("explain", examples / "cat.png", cwd=tmp_path)
    assert finished.returncode == 0
    assert finished.stderr == ""
    rows = [cells for cells in map(_cells, finished.stdout.splitlines()) if cells[0].isdecimal()]
    assert [cells[0] for cells in rows[:3]] == ["282", "285", "281"]
    assert [cells[1] for cells in rows[:3]] == ["tiger cat", "Egyptian cat", "tabby"]
    assert float(rows[0][2]) == pytest.approx(0.385, abs=0.01)
    assert "layer top_relu6, method gradcam" in finished.stdout
    assert "wrote explanations/cat_gradcam.png" in finished.stdout
    with Image.open(tmp_path / "explanations" / "cat_gradcam.png") as image:
        assert image.size == (451, 300)


def test_json_and_nothing_else_on_standard_output(run, tmp_path, examples, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.jpg").write_text("no image")
    code, out, _ = run(
        "explain", examples / "cat.png", "broken.jpg", "--targets", "tabby,285,n02123159", "--format", "png,npz,json",
        "--figure", "overlay", "--json",
    )  # fmt: skip
    assert code == 1
    found = json.loads(out)
    (explanation,) = found["explanations"]
    assert explanation["image"] == str(examples / "cat.png")
    assert list(explanation) == ["image", "predictions", "targets", "model", "layer", "method", "files"]
    assert explanation["predictions"][0] == {
        "index": 282, "wnid": "n02123159", "name": "tiger cat", "probability": pytest.approx(0.385, abs=0.01)
    }  # fmt: skip
    assert [target["index"] for target in explanation["targets"]] == [281, 285, 282]
    assert list(explanation["targets"][0]) == ["index", "name", "score", "probability", "has_evidence", "check"]
    assert explanation["files"] == [
        f"explanations/cat_gradcam{part}" for part in ("_281.png", "_285.png", "_282.png", ".npz", ".json")
    ]
    assert all((tmp_path / file).stat().st_size > 0 for file in explanation["files"])
    (error,) = found["errors"]
    assert error["image"] == "broken.jpg"
    assert "broken.jpg is not an image in a format SeeWhy reads" in error["error"]
    assert sorted(os.listdir(tmp_path / "explanations")) == sorted(Path(file).name for file in explanation["files"])


def seconds(table):
    """Return the numbers in each row of what `--verbose` prints: those of the main thread, and those of the others."""
    parts = table.split("at the same time, in other threads:\n")
    rows = [re.findall(r"^(.*?\S) +([\d.]+)(?: +([\d.]+))?$", part, re.MULTILINE) for part in parts]
    return [{name: [float(number) for number in numbers if number] for name, *numbers in part} for part in rows]


def test_verbose_says_where_the_time_went(run_cold, tmp_path, examples):
    """On standard error, so that standard output is JSON; the rows of the main thread add up to the total."""
    images = [examples / "cat.png", examples / "coffee.png"]
    code, out, err = run_cold("explain", *images, "--out", tmp_path, "--json", "--verbose")
    assert code == 0
    assert len(json.loads(out)["explanations"]) == 2
    assert err.startswith("where the time went")
    own, meanwhile = seconds(err)
    (total,) = own.pop("total elapsed")
    assert sum(row[0] for row in own.values()) == pytest.approx(total, abs=0.001 * len(own))
    assert own["everything else"][0] < total / 2
    assert list(own)[:2] == [
        "importing the framework and other packages",
        "building the model and loading its weights",
    ]
    compiling, running = (
        own["tracing and compiling, once per input shape"],
        own["running the model and the method"],
    )
    assert len(compiling) == 1  # not by image: two cost as much as one
    assert compiling[0] > 0 < running[0]
    assert running[1] == pytest.approx(running[0] / 2, abs=0.001)
    assert list(meanwhile) == ["reading images", "drawing", "encoding and writing files"]
    assert all(each[0] > 0 for each in meanwhile.values())


def test_a_compile_cache_needs_jax(run, tmp_path, examples, monkeypatch):
    for name in ("JAX_COMPILATION_CACHE_DIR", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"):
        monkeypatch.setenv(name, "")  # restored afterwards
    code, out, err = run(
        "explain", examples / "cat.png", "--out", tmp_path / "out", "--compile-cache", tmp_path / "kept"
    )
    assert (code, out) == (2, "")
    assert "--compile-cache is for models on JAX, and the model runs on onnx. Leave it out" in err
    assert not (tmp_path / "out").exists()


def test_a_compile_cache_is_a_folder(run, tmp_path, examples):
    (tmp_path / "file").touch()
    code, out, err = run("explain", examples / "cat.png", "--compile-cache", tmp_path / "file")
    assert (code, out) == (1, "")
    assert (
        err
        == f"Error: Cannot create the folder {tmp_path}/file: it is a file. Give another folder with --compile-cache.\n"
    )


def test_a_bad_image_does_not_stop_the_others(run, tmp_path, examples):
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a_empty.png").touch()
    (folder / "b_text.jpg").write_text("text")
    Image.open(examples / "cat.png").convert("L").save(folder / "c_grey.png")
    Image.open(examples / "cat.png").convert("CMYK").save(folder / "d_print.jpg")
    Image.new("RGB", (1, 1)).save(folder / "e_dot.png")
    code, out, err = run("explain", folder, tmp_path / "missing.png", "--out", tmp_path / "out", "--json")
    found = json.loads(out)
    assert code == 1
    assert [Path(each["image"]).name for each in found["explanations"]] == ["c_grey.png", "d_print.jpg", "e_dot.png"]
    assert [Path(each["image"]).name for each in found["errors"]] == ["missing.png", "a_empty.png", "b_text.jpg"]
    assert all(each["error"] in err for each in found["errors"])
    assert "Explaining" not in err  # a progress bar is for terminals


def test_missing_images_are_usage_errors(run, tmp_path):
    code, out, err = run("explain", tmp_path / "missing.png", "--out", tmp_path / "out")
    assert code == 2
    assert f"Error: There is no image at {tmp_path}/missing.png." in err
    assert out == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--method", "gradcm"], "Unknown method 'gradcm'. Did you mean 'gradcam'"),
        (["--colormap", "jett"], "Unknown colour map 'jett'. Did you mean 'jet'"),
        (["--alpha", "1.5"], "alpha is 1.5; expected a number from 0 (the image alone) to 1 (the colours alone)."),
        (
            ["--format", "png,bmp"],
            "Cannot write the format 'bmp'; known: png, jpg, jpeg, svg, pdf, gif, webp, npz, json, ",
        ),
        (["--format", ""], "Cannot write the format ''; known: png"),
        (["--model", "efficientnet-lit"], "Unknown model 'efficientnet-lit'. Did you mean 'efficientnet-lite0'"),
        (["--layer", "top_relu"], "There is no layer 'top_relu' in the model. Did you mean 'top_relu6'"),
        (["--layer", "predictions"], "The layer 'predictions' cannot be explained"),
        (["--targets", "tabbby"], "There is no class 'tabbby'. Did you mean 'tabby'"),
        (["--targets", "crane"], "'crane' matches 2 classes: 134 (crane, n02012849), 517 (crane, n03126707)"),
        (["--targets", "1000"], "There is no class '1000':"),
        (["--targets", "top-1001"], "'top-1001' selects more than the model's 1000 classes."),
        (["--targets", ""], "Unknown target []"),
        (["--score", "logits"], "Invalid value for '--score'"),
        (["--precision", "float16"], "Invalid value for '--precision'"),
        (["--figure", "mosaic"], "Invalid value for '--figure'"),
    ],
)
def test_usage_errors(run, tmp_path, examples, arguments, message):
    code, out, err = run("explain", examples / "cat.png", "--out", tmp_path / "out", *arguments)
    assert code == 2
    assert message in " ".join(err.split())
    assert out == ""
    assert not list(tmp_path.glob("out/*"))


def test_a_folder_without_images(run, tmp_path):
    (tmp_path / "empty").mkdir()
    code, _, err = run("explain", tmp_path / "empty")
    assert code == 2
    assert f"{tmp_path}/empty contains no images" in err


def test_an_output_folder_that_cannot_be_created(run, tmp_path, examples):
    (tmp_path / "file").touch()
    code, _, err = run("explain", examples / "cat.png", "--out", tmp_path / "file" / "deeper")
    assert code == 1
    assert "Cannot create the folder" in err


def test_an_output_that_cannot_be_written_does_not_stop_the_others(run, tmp_path, examples):
    (tmp_path / "out" / "cat_gradcam.png").mkdir(parents=True)
    code, out, err = run("explain", examples / "cat.png", examples / "coffee.png", "--out", tmp_path / "out")
    assert code == 1
    assert "Cannot write" in err
    assert "coffee_gradcam.png" in out
    assert sorted(os.listdir(tmp_path / "out")) == ["cat_gradcam.png", "coffee_gradcam.png"]


def test_images_of_one_name_do_not_overwrite_each_other(run, tmp_path, examples):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        Image.open(examples / "coffee.png").resize((60, 40)).save(tmp_path / folder / "x.png")
    code, out, _ = run(
        "explain", tmp_path / "a" / "x.png", tmp_path / "b" / "x.png", "--out", tmp_path / "out", "--json"
    )
    assert code == 0
    files = [file for each in json.loads(out)["explanations"] for file in each["files"]]
    assert [Path(file).name for file in files] == ["x_gradcam.png", "x_gradcam-2.png"]


def test_an_input_image_is_never_overwritten(run, tmp_path, examples):
    for name in ("x.png", "x_gradcam.png"):
        Image.open(examples / "coffee.png").resize((60, 40)).save(tmp_path / name)
    before = (tmp_path / "x_gradcam.png").read_bytes()
    code, _, err = run("explain", tmp_path, "--out", tmp_path)
    assert code == 1
    assert "is one of the input images and is not overwritten. Change --out." in " ".join(err.split())
    assert (tmp_path / "x_gradcam.png").read_bytes() == before
    assert (tmp_path / "x_gradcam_gradcam.png").exists()


@pytest.mark.parametrize("figure", ["panels", "grid"])
def test_figures(run, tmp_path, examples, figure):
    code, out, _ = run(
        "explain", examples / "cat.png", "--targets", "top-2", "--figure", figure, "--out", tmp_path, "--json",
        "--method", "hirescam", "--colormap", "viridis", "--format", "jpg", "--score", "probability",
    )  # fmt: skip
    assert code == 0
    (explanation,) = json.loads(out)["explanations"]
    names = {"panels": ["cat_hirescam_282.jpg", "cat_hirescam_285.jpg"], "grid": ["cat_hirescam.jpg"]}[figure]
    assert [Path(file).name for file in explanation["files"]] == names
    assert explanation["targets"][0]["score"] == pytest.approx(explanation["targets"][0]["probability"], rel=1e-5)
    for file in explanation["files"]:
        with Image.open(file) as image:
            assert image.width > 700
            assert np.asarray(image).std() > 20


def test_a_lower_precision(run, tmp_path, examples):
    """TensorFlow's logits then are numbers of bfloat16, which are sixteenths between 8 and 16."""
    skip_unless_tensorflow_runs_bfloat16()
    arguments = ("explain", examples / "cat.png", "--precision", "bfloat16", "--out", tmp_path, "--json")
    code, _, err = run(*arguments)
    assert (code, "in a framework: backend='openvino', or for efficientnet-lite0 backend='tensorflow'" in err) == (
        2,
        True,
    )
    code, out, _ = run(*arguments, "--backend", "tensorflow")
    assert code == 0
    (target,) = json.loads(out)["explanations"][0]["targets"]
    assert target["index"] == 282
    assert target["score"] % (1 / 16) == 0
    assert target["score"] == pytest.approx(9.2119, abs=0.2)


def test_layers(run):
    code, out, _ = run("layers", "efficientnet-lite0")
    assert code == 0
    chosen = [line for line in out.splitlines() if "<- auto" in line]
    assert len(chosen) == 1
    assert _cells(chosen[0]) == ["top_relu6", "Clip", "7 x 7 x 1280", "<- auto"]
    assert "block1a_depthwise_relu6" in out
    assert "predictions" not in out
    assert "auto selects top_relu6: the last layer in call order that has spatial output" in out
    code, _, err = run("layers", "vgg")
    assert (code, "Unknown model 'vgg'" in err) == (2, True)


def test_models_and_methods(run, monkeypatch, tmp_path):
    """A cache that knows every architecture but one, which is built: the test marked slow builds them all."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    SizeCache().write({name: ApplicationSize((64, 96), 7) for name in applications() if name != "mobilenet"})
    code, out, _ = run("models")
    assert (code, "efficientnet-lite0" in out, "4,652,008" in out, "224 x 224" in out) == (0, True, True, True)
    rows = {cells[0]: cells[1:3] for cells in map(_cells, out.splitlines())}
    assert rows["mobilenet"] == ["224 x 224", "4,253,864"]
    assert rows["vgg16"] == ["64 x 96", "7"]
    assert SizeCache().read()["mobilenet"] == ApplicationSize((224, 224), 4_253_864)
    code, out, _ = run("methods")
    assert (code, "1610.02391" in out, "2011.08891" in out) == (0, True, True)


def _cells(line):
    """Return the cells of a row of a table."""
    return re.split(" {2,}", line.strip())


@pytest.mark.slow(reason="builds all forty models of keras.applications, which takes a minute or two")
def test_every_application_is_built_for_the_table(run, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    code, out, _ = run("models")
    rows = {cells[0]: cells[1:3] for cells in map(_cells, out.splitlines())}
    assert (code, set(applications()) - set(rows)) == (0, set())
    assert rows["vgg16"] == ["224 x 224", "138,357,544"]
    assert rows["nasnetlarge"][0] == "331 x 331"
    assert set(SizeCache().read()) == set(applications())


def test_help_and_version(tmp_path):
    finished = run_installed("--help", cwd=tmp_path)
    assert finished.returncode == 0
    assert all(command in finished.stdout for command in ("explain", "layers", "models", "methods"))
    assert run_installed("--version", cwd=tmp_path).stdout == f"seewhy {seewhy.__version__}\n"
    as_module = subprocess.run(
        [sys.executable, "-m", "seewhy", "--version"], capture_output=True, text=True, check=True
    )
    assert as_module.stdout == f"seewhy {seewhy.__version__}\n"


def test_without_tensorflow_the_error_names_the_extra(tmp_path, examples):
    """A Python in which TensorFlow cannot be found."""
    (tmp_path / "tensorflow").mkdir()
    (tmp_path / "tensorflow" / "__init__.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'tensorflow'\", name='tensorflow')\n"
    )
    finished = run_installed(
        "explain", examples / "cat.png", "--backend", "tensorflow", cwd=tmp_path, PYTHONPATH=str(tmp_path)
    )
    assert finished.returncode == 2
    assert install_command("tensorflow") in finished.stderr
    assert "Traceback" not in finished.stderr


def test_several_methods_share_an_image_and_have_their_own_files(run, tmp_path, examples):
    code, out, _ = run(
        "explain", examples / "cat.png", "--method", "gradcam,hirescam", "--targets", "tabby,285", "--out", tmp_path,
        "--format", "png,npz", "--json",
    )  # fmt: skip
    assert code == 0
    found = json.loads(out)["explanations"]
    assert [each["method"] for each in found] == ["gradcam", "hirescam"]
    both = str(tmp_path / "cat_gradcam_hirescam.png")
    assert [each["files"] for each in found] == [
        [both, str(tmp_path / "cat_gradcam.npz")],
        [both, str(tmp_path / "cat_hirescam.npz")],
    ]
    with Image.open(both) as image:
        assert image.width > 600


def test_methods_are_listed_by_family(run):
    code, out, _ = run("methods")
    assert code == 0
    assert "Gradient methods" in out
    assert "T head backwards" in out
    assert "auto, the default, takes legrad_rollout for vision transformers" in out


def test_a_wrong_call_creates_no_folder(run, tmp_path, examples):
    code, _, err = run("explain", examples / "cat.png", "--targets", "no such class", "--out", tmp_path / "out")
    assert code == 2
    assert "no such class" in err
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full")
def test_a_full_disk_under_standard_output():
    with open("/dev/full", "w") as full:
        finished = subprocess.run(
            [ENTRY_POINT, "methods"], stdout=full, stderr=subprocess.PIPE, text=True, check=False, env=dict(os.environ)
        )
    assert finished.returncode == 1
    assert finished.stderr == "Error: Cannot print the results: No space left on device.\n"


SMALL = """
import torch
import seewhy

def build():
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(),
        torch.nn.Linear(4, 1000),
    )
    return seewhy.Classifier(model, preprocess=seewhy.Preprocessing(size=(16, 16), std=255.0), name="small")
"""


def test_two_models_share_an_image_in_the_style_of_a_tutorial(run, tmp_path, examples, monkeypatch):
    style = ["--image-weight", "1", "--upsampling", "nearest", "--rescale", "range", "--normalization", "range"]
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "small.py").write_text(SMALL)
    monkeypatch.syspath_prepend(tmp_path / "nets")
    models = ["--model", "efficientnet-lite0", "--model", "small:build"]
    code, out, err = run(
        "explain", examples / "cat.png", *models, *style, "--targets", "282,281", "--format", "png,gif",
        "--together", "--out", tmp_path / "out",
    )  # fmt: skip
    assert code == 0, err
    assert "cat.png, efficientnet-lite0" in out
    assert "cat.png, small" in out
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "cat_efficientnet-lite0_small_gradcam.png", "cat_efficientnet-lite0_gradcam.gif", "cat_small_gradcam.gif",
        "together_efficientnet-lite0_small_gradcam.png",
    }  # fmt: skip
    with Image.open(tmp_path / "out" / "cat_small_gradcam.gif") as image:
        assert image.n_frames == 2


def test_a_large_photo_is_drawn_at_a_reduced_size(run, tmp_path, examples):
    with Image.open(examples / "flower.jpg") as image:
        width, height = image.size
    least = min(width, height) // 2
    code, _, err = run("explain", examples / "flower.jpg", "--reduce-to", least, "--out", tmp_path)
    assert code == 0, err
    (overlay,) = tmp_path.glob("*.png")
    with Image.open(overlay) as drawn:
        assert drawn.size == ((width + 1) // 2, (height + 1) // 2)


def test_together_needs_an_image_format(run, tmp_path, examples):
    code, _, err = run("explain", examples / "cat.png", "--together", "--format", "json", "--out", tmp_path)
    assert code == 2
    assert "--together writes an image; add png or jpg to --format." in err


def test_inspect(run, tmp_path, examples):
    arguments = ["--channels", "10,112", "--targets", "282,espresso", "--format", "png,npz", "--out", tmp_path]
    code, out, err = run("inspect", examples / "cat.png", *arguments)
    assert (code, "layer top_relu6, 1280 channels" in out) == (0, True), err
    assert {path.name for path in tmp_path.iterdir()} == {
        "cat_inspect_282.png", "cat_inspect_967.png", "cat_inspect.npz",
    }  # fmt: skip
    row = next(line for line in out.splitlines() if line.split()[:1] == ["112"])
    shown = [float(part) for part in _cells(row)]
    with np.load(tmp_path / "cat_inspect.npz") as arrays:
        assert shown[1] == pytest.approx(arrays["weights"][0, 112], rel=1e-3)
        assert shown[3] == pytest.approx(arrays["weights"][0, 112] * arrays["activations"][..., 112].mean(), rel=1e-3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--channels", "1280"], "There are no channels '1280': top_relu6 has channels 0 to 1279."),
        (["--format", "gif"], "Cannot write the format 'gif'; known: png, jpg, jpeg, svg, pdf, npz."),
        (["--format", ","], "Cannot write the format ''; known"),
        (["--colormap", "jett"], "Unknown colour map 'jett'"),
    ],
)
def test_usage_errors_of_inspect(run, tmp_path, examples, arguments, message):
    code, _, err = run("inspect", examples / "cat.png", *arguments, "--out", tmp_path / "out")
    assert code == 2
    assert message in err
    assert not (tmp_path / "out").exists()


def test_an_inspected_image_is_never_overwritten(run, tmp_path, examples):
    image = tmp_path / "cat_inspect_282.png"
    image.write_bytes((examples / "cat.png").read_bytes())
    (tmp_path / "cat.png").symlink_to(image)
    code, _, err = run("inspect", tmp_path / "cat.png", "--out", tmp_path)
    assert (code, "is not overwritten" in err) == (1, True)


def test_more_classes_than_a_figure_can_show(run, tmp_path, examples):
    code, _, err = run("explain", examples / "cat.png", "--targets", "top-301", "--out", tmp_path)
    assert (code, "The figure would have 301 panels; the limit is 300" in err) == (2, True)


def test_more_images_than_fit_together(run, tmp_path):
    (tmp_path / "images").mkdir()
    for number in range(151):
        Image.new("RGB", (2, 2)).save(tmp_path / "images" / f"{number}.png")
    arguments = ["--together", "--method", "gradcam,eigencam", "--out", tmp_path / "out"]
    code, _, err = run("explain", tmp_path / "images", *arguments)
    assert (code, "--together would draw at least 302 overlays in one image; it can have 300" in err) == (2, True)
    assert not (tmp_path / "out").exists()


def test_json_has_the_images_if_together_cannot_be_written(run, tmp_path, examples):
    (tmp_path / "together_gradcam.png").mkdir()
    code, out, err = run("explain", examples / "cat.png", "--together", "--json", "--out", tmp_path)
    found = json.loads(out)
    assert (code, len(found["explanations"])) == (1, 1)
    assert found["errors"][0]["error"] in err
    assert "Cannot write" in err


def test_models_of_the_same_name_are_named_after_their_sources(run, tmp_path, examples, monkeypatch):
    (tmp_path / "twins.py").write_text(
        "import keras\n"
        "def first(classes=3):\n"
        "    layers = [keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3), keras.layers.Flatten()]\n"
        "    return keras.Sequential([*layers, keras.layers.Dense(classes, 'softmax')], name='twin')\n"
        "def second():\n"
        "    return first(2)\n"
    )
    monkeypatch.chdir(tmp_path)
    models = ["--model", "twins:first", "--model", "twins:second", "--model", "twins:second"]
    code, out, err = run("explain", examples / "cat.png", *models, "--targets", "1", "--format", "png,json")
    assert code == 0, err
    assert "cat.png, twins:first" in out
    assert "cat.png, twins:second" in out
    assert {path.name for path in (tmp_path / "explanations").iterdir()} == {
        "cat_twins-first_twins-second_gradcam.png", "cat_twins-first_gradcam.json", "cat_twins-second_gradcam.json",
    }  # fmt: skip
    found = json.loads((tmp_path / "explanations" / "cat_twins-second_gradcam.json").read_text())
    assert (found["model"], len(found["predictions"])) == ("twins:second", 2)


@pytest.mark.parametrize("several", [["--method", "gradcam,eigencam"], ["--model", "vgg16", "--model", "xception"]])
def test_panels_of_several_explanations_are_a_usage_error(run, tmp_path, examples, several):
    code, _, err = run("explain", examples / "cat.png", *several, "--figure", "panels", "--out", tmp_path)
    assert (code, "--figure panels shows one explanation" in err) == (2, True)


def test_one_report_of_all_images(run, tmp_path, examples):
    folder = tmp_path / "tiger_cat"
    folder.mkdir()
    for name in ("cat.png", "coffee.png"):
        shutil.copy(examples / name, folder)
    (folder / "text.jpg").write_text("text")
    code, out, err = run(
        "explain", folder, "--format", "html", "--label-by-folder", "--json", "--out", tmp_path / "out"
    )
    assert code == 1
    assert "text.jpg is not an image" in err
    report = tmp_path / "out" / "report.html"
    assert [each["files"] for each in json.loads(out)["explanations"]] == [[str(report)]] * 2
    assert os.listdir(tmp_path / "out") == ["report.html"]
    images = images_of(report)
    assert [(each["name"], each["correct"]) for each in images] == [("cat.png", True), ("coffee.png", False)]
    assert [len(each["explanations"][0]["targets"]) for each in images] == [5, 5]  # to go from one class to the other


def images_of(report):
    blocks = re.findall(r'<script type="application/json" id="image-\d+">(.*?)</script>', report.read_text("utf-8"))
    return [json.loads(block) for block in blocks]


def test_a_report_beside_images(run, tmp_path, examples):
    methods = ("--method", "gradcam,layercam", "--format", "png,html")
    code, out, _ = run("explain", examples / "cat.png", *methods, "--out", tmp_path)
    assert code == 0
    assert f"wrote {tmp_path}/report.html" in out
    assert sorted(os.listdir(tmp_path)) == ["cat_gradcam_layercam.png", "report.html"]
    (image,) = images_of(tmp_path / "report.html")
    assert [maps["method"] for maps in image["explanations"]] == ["gradcam", "layercam"]
    assert [len(maps["targets"]) for maps in image["explanations"]] == [1, 1]


def test_a_report_that_cannot_be_written(run, tmp_path, examples):
    (tmp_path / "out" / "report.html").mkdir(parents=True)
    code, out, err = run("explain", examples / "cat.png", "--format", "html,json", "--json", "--out", tmp_path / "out")
    found = json.loads(out)
    assert code == 1
    assert "Cannot write" in err
    assert [Path(file).name for file in found["explanations"][0]["files"]] == ["cat_gradcam.json"]
    assert found["errors"][0]["image"] == "report.html"


def test_label_by_folder_needs_a_report(run, tmp_path, examples):
    code, out, err = run("explain", examples / "cat.png", "--label-by-folder", "--out", tmp_path / "out")
    assert code == 2
    assert "--label-by-folder is for the report; add html to --format." in err
    assert out == ""


def test_vector_graphics_and_colour_bars(run, tmp_path, examples):
    arguments = ("--targets", "tabby,lynx", "--format", "svg,png", "--colorbar", "--out", tmp_path)
    code, _, err = run("explain", examples / "cat.png", *arguments)
    assert (code, err) == (0, "")
    assert (tmp_path / "cat_gradcam.svg").read_text("utf-8").count("<image") == 4  # two overlays, and a bar for each
    with Image.open(tmp_path / "cat_gradcam.png") as image:
        assert image.width > 600
