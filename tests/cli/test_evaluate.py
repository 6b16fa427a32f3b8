"""`seewhy evaluate`: what it prints and writes, what it refuses, and how it is interrupted and resumed."""

import csv
import json
import signal
import sys

import numpy as np
import pytest
from PIL import Image

from seewhy.cli import evaluate
from seewhy.evaluate import bootstrap

NETS = """
from tests.evaluate.quadrant_model import quadrant_classifier as build
"""

ARGUMENTS = ("--model", "nets:build", "--layer", "features", "--methods", "gradcam", "--steps", "4")


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """A folder of images, of which one is none."""
    monkeypatch.setattr(bootstrap, "DRAWS", 199)
    random = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for number in range(3):
        pixels = random.integers(0, 256, (16, 16, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{number}.png")
    (tmp_path / "nets.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path / "photos"


@pytest.mark.usefixtures("photos")
def test_a_study_prints_its_cost_before_and_its_table_after(run, tmp_path):
    (tmp_path / "photos" / "broken.png").write_bytes(b"no image")
    code, out, err = run("evaluate", "photos", *ARGUMENTS, "--metrics", "deletion,gini", "--out", "study")
    assert code == 1  # for the image that cannot be read
    assert "deletion  5 forward passes               60" in err  # 4 images, a method and two baselines, 5 each
    assert "60 forward passes for the metrics" in err
    assert "broken.png is not an image in a format SeeWhy reads" in err
    assert "4 of 4 images; about 0 s left" in err
    lines = out.splitlines()
    assert lines[0].split("  ")[0] == "metric"
    assert sum(line.startswith("deletion") and line.endswith("baseline") for line in lines) == 2
    assert "note: 1 image could not be measured: broken.png (" in out
    rows = list(csv.DictReader((tmp_path / "study" / "values.csv").read_text().splitlines()))
    assert len(rows) == 3 * 3 * 2 + 1
    assert "Paired differences: 2" in (tmp_path / "study" / "report.html").read_text("utf-8")


@pytest.mark.usefixtures("photos")
def test_ctrl_c_finishes_the_image_and_the_study_is_resumed(run, monkeypatch):
    """The interrupt comes while the first image's progress is shown, as it would from the terminal."""
    command = ("evaluate", "photos", *ARGUMENTS, "--metrics", "deletion", "--json")
    code, whole, _ = run(*command, "--out", "whole")
    assert code == 0
    show = evaluate._Lines.show

    def interrupted(*given):
        signal.getsignal(signal.SIGINT)(signal.SIGINT, None)  # a signal itself would also reach the test runner
        show(*given)

    with monkeypatch.context() as patch:
        patch.setattr(evaluate._Lines, "show", interrupted)
        code, out, err = run(*command, "--out", "study")
    assert (code, out) == (130, "")
    assert "Interrupted after 1 of 3 images, whose results are saved in study. To go on, add --resume" in err
    code, _, err = run(*command, "--out", "study")
    assert code == 2
    assert "study has the results of a study. Add --resume to continue it, or give another --out." in err
    code, _, err = run(*command, "--out", "study", "--resume", "--seed", "3")
    assert code == 2
    assert "other settings (seed: 0, now 3)" in err
    code, resumed, _ = run(*command, "--out", "study", "--resume")
    assert code == 0
    assert json.loads(resumed)["means"] == json.loads(whole)["means"]


@pytest.mark.usefixtures("photos")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--metrics", "deletio"), "Unknown metric 'deletio'. Did you mean 'deletion'?"),
        (("--maps", "tool"), "--maps is 'tool'; expected NAME=FOLDER"),
        (("--format", "xml"), "Cannot write values as '.xml'"),
        (("--labels", "none.csv"), "Cannot read the labels in none.csv: No such file"),
        (("--boxes", "none.json"), "Cannot read the boxes in none.json: No such file"),
        (("--metrics", "box_iou"), "No annotations were given, and box_iou needs them"),
    ],
)
def test_mistakes_write_nothing(run, tmp_path, arguments, message):
    code, _, err = run("evaluate", "photos", *ARGUMENTS, *arguments, "--out", "study")
    assert code == 2
    assert message in err
    assert not (tmp_path / "study").exists()


def test_all_metrics_are_listed_with_their_costs(run):
    code, out, _ = run("metrics", "--steps", "50", "--json")
    assert code == 0
    assert {"name": "deletion", "forwards": 51, "needs": "classifier"}.items() <= json.loads(out)[0].items()
