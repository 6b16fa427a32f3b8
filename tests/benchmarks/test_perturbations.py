"""What is compared with as many bare forward passes."""

import numpy as np
import torch
from benchmarks.cases import Case, Turns
from benchmarks.forwards import Subject

import seewhy
from benchmarks import perturbations

SCORECAM = {"forward": [10.0, 10], "seewhy": [11.0, 12], "pytorch-grad-cam": [22.0, 24], "onnx": [8.0, 8]}
MEASURED = [
    (Case("torch", "MobileNetV2", "scorecam"), [Turns(1, 224, SCORECAM)]),
    (Case("keras-tensorflow", "MobileNetV2", "rise"), [Turns(1, 224, {"forward": [4.0, 4], "seewhy": [4.0, 4]})]),
]


def test_ratios_and_goals():
    forward, ours, peer, onnx, _, rise = perturbations.figures(MEASURED)
    assert (ours["forward"], ours["goal"]) == ([1.125, 1.15, 1.175], 1.05)
    assert (peer["seewhy"], peer["onnx"], peer["goal"]) == ([2, 2, 2], [2.812, 2.875, 2.938], 2.0)
    assert (onnx["forward"], onnx["goal"], forward["goal"]) == ([0.8, 0.8, 0.8], None, None)
    assert (rise["title"], rise["goal"]) == ("Keras/TensorFlow, MobileNetV2, RISE, 512 masks", 1.05)


def test_the_table_has_the_quartiles_of_all():
    _, ours, peer, *_ = perturbations.rows(perturbations.figures(MEASURED))
    assert ours["/ bare forward passes"] == "1.15 (1.12 to 1.18)"
    assert (peer["/ SeeWhy, onnx"], peer["goal"]) == ("2.88 (2.81 to 2.94)", "2")


def test_the_bare_passes_are_as_many_as_score_cam_runs():
    """Of five channels, one is constant: four masks and the baseline are five runs."""
    torch.manual_seed(0)
    convolution = torch.nn.Conv2d(3, 5, 3)
    with torch.no_grad():
        convolution.weight[2] = 0
    model = torch.nn.Sequential(convolution, torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(5, 4))
    rows = []
    model.eval().register_forward_hook(lambda _, inputs, __: rows.append(len(inputs[0])))
    what = Subject(model, np.random.default_rng(0).normal(size=(1, 3, 9, 9)).astype(np.float32), lambda batch: batch)
    runs = perturbations._runs(what, "0", seewhy.methods.get("scorecam"))
    assert runs - 1 == 4
    rows.clear()
    perturbations._bare(what, "torch", perturbations.BATCH_SIZE + runs)()
    assert rows == [perturbations.BATCH_SIZE, runs]
