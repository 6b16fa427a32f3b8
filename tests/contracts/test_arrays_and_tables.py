"""Heatmaps as arrays of NumPy and of the framework, and as tables."""

import pickle
import sys
from dataclasses import replace

import numpy as np
import pytest
from tests.sample_models import paper_sequential

import seewhy
from seewhy.errors import OptionError

IMAGES = np.random.default_rng(0).random((2, 2, 2, 1), dtype=np.float32)


@pytest.fixture(scope="module")
def heatmaps():
    import keras

    keras.utils.set_random_seed(0)
    return seewhy.Explainer(paper_sequential()).heatmaps(IMAGES, [0, 1])


def test_a_tensor_is_of_the_framework_on_the_device_of_the_model(heatmaps):
    import keras

    for each in (heatmaps, pickle.loads(pickle.dumps(heatmaps))):  # noqa: S301  # our own
        tensor = each.tensor
        assert keras.ops.is_tensor(tensor)
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(tensor), heatmaps.values)
    assert heatmaps.tensor is not heatmaps.tensor  # none is kept
    if "torch" in sys.modules and keras.backend.backend() == "tensorflow":
        torch = sys.modules["torch"]
        model = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.Flatten(), torch.nn.Linear(18, 2))
        native = seewhy.Explainer(model, signed=True).heatmaps(np.ones((2, 1, 5, 5), np.float32), 0)
        assert native.tensor.device == model[0].weight.device
        native.tensor.zero_()  # a copy
        assert native.values.any()


def test_numpy_takes_heatmaps(heatmaps):
    array = np.asarray(heatmaps)
    assert array is heatmaps.values or np.shares_memory(array, heatmaps.values)
    assert not np.shares_memory(np.array(heatmaps), heatmaps.values)
    assert np.asarray(heatmaps, dtype=np.float64).dtype == np.float64


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_row_is_a_target_of_an_image(heatmaps, library):
    pytest.importorskip(library)
    frame = heatmaps.to_dataframe(library)
    assert type(frame).__module__.partition(".")[0] == library
    assert list(frame["image"]) == [0, 0, 1, 1]
    assert list(frame["target"]) == list(frame["index"]) == [0, 1, 0, 1]
    assert list(frame["name"]) == ["class 0", "class 1"] * 2
    assert list(frame["score"]) == heatmaps.scores.ravel().tolist()
    assert list(frame["probability"]) == heatmaps.probabilities[:, :2].ravel().tolist()
    assert frame["peak"][3] == heatmaps.values[1, 1].max()
    assert frame["sum"][2] == pytest.approx(heatmaps.values[1, 0].sum())


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_probabilities_are_numbers_also_where_all_are_missing(heatmaps, library):
    pytest.importorskip(library)
    column = replace(heatmaps, probabilities=None).to_dataframe(library)["probability"]
    assert str(column.dtype).lower() == "float64"
    assert len(column.dropna() if library == "pandas" else column.drop_nulls()) == 0


def test_boxes_are_columns_and_an_unknown_library_is_refused(heatmaps):
    boxes = np.arange(16, dtype=np.float32).reshape(2, 2, 4)
    detections = replace(heatmaps, boxes=boxes)
    assert list(detections.to_dataframe()["bottom"]) == [3, 7, 11, 15]
    with pytest.raises(OptionError, match="library"):
        heatmaps.to_dataframe("arrow")
