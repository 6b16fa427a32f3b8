"""Volumes and signals on the command line."""

import sys

import nibabel
import numpy as np
import pytest
import soundfile
from PIL import Image
from tests.recordings.test_dicom import write
from tests.results.test_recording_explanations import AFFINE, ball


@pytest.fixture
def nets(tmp_path, monkeypatch):
    """A module with functions that return models, in the current folder."""
    lines = ["import seewhy", "from tests.results.test_recording_explanations import Brightest"]
    lines += ["def volume():", "    return Brightest(3)"]
    lines += ["def sound():", "    return seewhy.Classifier(Brightest(1), sample_rate=8000)"]
    (tmp_path / "nets.py").write_text("\n".join(lines))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])


@pytest.mark.usefixtures("nets")
def test_an_image_for_a_model_of_volumes(run_cold, tmp_path):
    Image.fromarray(np.zeros((6, 8, 3), np.uint8)).save(tmp_path / "cat.png")
    np.save(tmp_path / "ball.npy", ball((8, 12, 6), (2, 9, 4)))
    code, _, err = run_cold("explain", "cat.png", "--model", "nets:volume")
    assert code == 2
    assert "takes volumes or videos, and no images: its first convolution has 3 spatial axes" in err
    assert "Give the path of a volume or a video." in err
    code, _, err = run_cold("explain", "ball.npy", "--model", "nets:volume", "--layer", "cell")
    assert code == 2
    assert "There is no layer 'cell'" in err
    code, _, err = run_cold("inspect", "ball.npy", "--model", "nets:volume")
    assert code == 2
    assert "ball.npy is a volume, a signal or a video; expected an image." in err
    code, _, err = run_cold("layers", "nets:volume")
    assert code == 2
    assert "so its layers cannot be listed. Give it: --input-size 32x64x64." in err


@pytest.mark.usefixtures("nets")
def test_a_description_in_a_dicom_file_does_not_control_the_terminal(run_cold, tmp_path):
    for number in range(2):
        names = {"uid": f"1.{number}", "SeriesDescription": "T1\x1b[2J\x1b]0;owned\x07"}
        write(tmp_path / "two" / f"{number}.dcm", (0, 0, 2.0 * number), **names)
    code, out, err = run_cold("explain", "two", "--model", "nets:volume")
    assert code == 2
    assert r"two contains 2 series: T1\x1b[2J\x1b]0;owned\x07 (1 slices" in err
    assert "\x1b" not in out + err


@pytest.mark.usefixtures("nets")
def test_the_command_line_explains_volumes_and_signals(run_cold, tmp_path):
    image = nibabel.Nifti1Image(ball((8, 12, 6), (2, 9, 4)), AFFINE)
    (tmp_path / "scans").mkdir()
    nibabel.save(image, tmp_path / "scans" / "scan.nii.gz")
    options = ["--model", "nets:volume", "--layer", "cells", "--slice-axis", 2, "--frames", 3]
    code, out, _ = run_cold("explain", "scans", *options, "--format", "png,nii.gz,json", "--targets", "0,1")
    assert code == 0
    assert "wrote explanations/scan_gradcam.nii.gz" in out
    assert nibabel.load("explanations/scan_gradcam.nii.gz").shape == (4, 6, 3, 2)
    with Image.open("explanations/scan_gradcam.png") as montage:
        # Three slices of 8 x 12 voxels, with the front up, enlarged 13 times to 104 x 156 pixels.
        assert montage.width == 6 + 3 * (8 * 13 + 6)
    soundfile.write("sound.wav", np.zeros(100), 16000)
    code, _, err = run_cold("explain", "sound.wav", "--model", "nets:sound")
    assert code == 2
    assert "sound.wav has 16000 samples a second, and the model 'Brightest' takes 8000. Resample it first" in err
    code, _, err = run_cold("explain", "scans", "--model", "nets:volume", "--format", "html")
    assert code == 0, err
    assert '"kind":"volume"' in (tmp_path / "explanations" / "report.html").read_text("utf-8")
