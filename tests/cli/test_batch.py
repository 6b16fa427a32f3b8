"""`seewhy batch`: what it prints, and its exit codes."""

import json
import logging
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from tests.cli.test_many_images import NETS

from seewhy import datasets
from seewhy.cli.batch import FirstErrors, ProgressLine, progress_text
from seewhy.images.pillow_memory import KEPT_BLOCKS


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Two class folders with six images, of which one is none."""
    random = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(3):
            pixels = random.integers(0, 256, (9, 8, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{number}.png")
    (tmp_path / "photos" / "dog" / "1.png").write_text("no image")
    (tmp_path / "nets.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path / "photos"


@pytest.mark.usefixtures("photos")
def test_a_data_set_is_explained_and_a_run_is_not_overwritten(run):
    command = ("batch", "photos", "--out", "out", "--model", "nets:build", "--label-by-folder")
    code, out, err = run(*command)
    assert code == 1
    assert out.splitlines()[0] == "explained 5 of 6 images; wrote out"
    assert "misclassified: " in out
    assert out.splitlines()[-1] == "failed: 1 (ImageFormatError 1); out/errors says why"
    assert err.startswith("Error: photos/dog/1.png is not an image in a format SeeWhy reads")
    assert err.splitlines()[-1].startswith("6 of 6 images (100%), ")
    code, _, err = run(*command)
    assert (code, err) == (2, "Error: out holds a run that is complete. Give another folder, or delete it.\n")
    code, out, err = run(*command, "--resume", "--json", "--quiet")
    assert (code, err) == (1, "")
    assert json.loads(out)["labelled"] == 5
    assert json.loads(out)["images_per_second"] == 0
    code, _, err = run(*command, "--resume", "--targets", "dog")
    assert code == 2
    assert 'targets: ["top-1"] then, ["dog"] now' in err
    assert len(list(datasets.open("out").explanations())) == 5


@pytest.mark.usefixtures("photos")
def test_wrong_calls_exit_with_2_before_the_model_is_loaded(run):
    for arguments, message in (
        (("none",), "There is no image at none."),
        (("photos", "--shard", "3"), "--shard is '3'; expected I/N"),
        (("photos", "--label-column", "class"), "--label-column does not apply to the source photos"),
        (("photos", "--method", "gradcam,rise"), "Give one --method"),
        (("photos", "--targets", "cat", "--model", "none.keras"), "none.keras"),
    ):
        code, _, err = run("batch", *arguments, "--out", "out")
        assert (code, message in err) == (2, True), err


@pytest.mark.usefixtures("photos")
def test_what_happens_is_logged_on_request(run):
    code, _, err = run("batch", "photos", "--out", "out", "--model", "nets:build", "--log", "--chunk-size", "4")
    assert code == 1
    logged = [line.partition(" seewhy.datasets: ")[2] for line in err.splitlines() if "seewhy.datasets:" in line]
    assert "INFO seewhy.pipeline: method=auto takes gradcam" in err
    assert logged[0] == "out: 6 images in 2 parts; gradcam at 1, heatmaps [1, 6, 6] in float16"
    assert logged[1] == "out: 0 of 6 images are done"
    assert logged[2] == "part 0: 4 results, 0 errors"
    assert logged[3].startswith("dog/1.png: photos/dog/1.png is not an image")
    assert logged[4:] == ["part 1: 1 results, 1 errors", "out: complete"]
    assert not [each for each in logging.getLogger("seewhy").handlers if not isinstance(each, logging.NullHandler)]


def test_the_line_is_cleared_for_an_error_and_fits_the_terminal(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "30")
    line = ProgressLine(is_silent=False)
    line.show(datasets.Progress(total=4_000, done=2_000))
    FirstErrors(line).emit(logging.LogRecord("seewhy", logging.WARNING, "", 0, "%s", (ValueError("no"),), None))
    shown = "2,000 of 4,000 images (50%), "
    assert capsys.readouterr().err == f"\r{shown}\r{'':{len(shown)}}\rError: no\n"


def test_the_line_of_the_progress():
    progress = datasets.Progress(total=4_000, before=1_000, done=2_000, errors=3)
    progress._started -= 100
    assert progress_text(progress) == "2,000 of 4,000 images (50%), 10.0 a second, 0:03:20 left, 3 failed"


def test_ctrl_c_shows_no_traceback_also_where_a_library_reports_something_else(run, monkeypatch):
    def load(_):
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as interrupt:
            raise ImportError("initialization failed") from interrupt  # as an extension module in C does

    monkeypatch.setattr("seewhy.cli.batch._explainer", load)
    assert run("batch", ".", "--out", "out") == (130, "", "")


def test_ctrl_c_shows_no_traceback_while_the_command_line_itself_is_imported():
    script = """if True:
        import sys

        class Interrupt:
            def find_spec(self, name, *_):
                if name == "typer":
                    raise KeyboardInterrupt

        sys.meta_path.insert(0, Interrupt())
        from seewhy.cli import main
        main()
    """
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, b"", b"")


@pytest.mark.usefixtures("photos")
def test_an_output_is_converted(run):
    assert run("batch", "photos", "--out", "out", "--model", "nets:build", "--quiet")[0] == 1
    for to, path in (
        ("coco", "out/coco.json"),
        ("masks", "out/masks"),
        ("fiftyone", "out/fiftyone.json"),
        ("label-studio", "out/label-studio.json"),
        ("csv", "out/targets.csv"),
    ):
        assert run("convert", "out", "--to", to) == (0, f"wrote {path}\n", "")
    code, out, _ = run("convert", "out", "--to", "csv", "--out", "a.csv", "--json")
    assert (code, json.loads(out)) == (0, {"path": "a.csv", "format": "csv"})
    for arguments, code, message in (
        (("out", "--to", "yolo"), 2, "Invalid value for '--to'"),
        (("none", "--to", "csv"), 2, "none is not the output of a run"),
        (("out", "--to", "masks"), 1, "out/masks is not empty"),
        (("out", "--to", "coco", "--threshold", "0.5"), 2, "--threshold does not apply to coco, but to masks"),
        (("out", "--to", "csv", "--out", "photos"), 2, "photos has the suffix ''; expected '.csv'"),
        (("out", "--to", "csv", "--out", "nets.py/a.csv"), 1, "Cannot write nets.py/a.csv"),
    ):
        assert run("convert", *arguments)[0] == code
        assert message in run("convert", *arguments)[2]


@pytest.fixture
def pillow():
    """Pillow as it is when it is imported: it keeps no memory."""
    core = Image.core
    before = core.get_block_size(), core.get_blocks_max()
    core.set_blocks_max(0)
    yield core
    core.set_blocks_max(before[1])
    core.set_block_size(before[0])


@pytest.mark.usefixtures("photos")
@pytest.mark.parametrize("command", ["explain", "batch"])
def test_pillow_keeps_the_memory_of_images(run, pillow, command):
    code, _, _ = run(command, "photos/cat", "--out", "out", "--model", "nets:build")
    assert (code, pillow.get_blocks_max()) == (0, KEPT_BLOCKS)
