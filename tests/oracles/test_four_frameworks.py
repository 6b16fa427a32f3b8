"""One model on five frameworks, and one file on three backends: each is the others' oracle.

Keras runs on one backend in a process, so that each explains in a new one, all at the same time.
"""

import os
import subprocess
import sys
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from tests.oracles.one_backend import FILES, LAYERS, METHODS, explain_file, explain_lite0
from tests.sample_models import block, nested

import seewhy

pytestmark = pytest.mark.slow(reason="imports TensorFlow, JAX and PyTorch in three processes of their own")

BACKENDS = ("tensorflow", "jax", "torch")
SCRIPT = Path(__file__).with_name("one_backend.py")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a transfer-learning model: augmentation, rescaling, a nested base, dropout, and a head."""
    keras.utils.set_random_seed(1)
    folder, model = tmp_path_factory.mktemp("files"), nested(block("base"))
    seewhy.Classifier(model).save(folder / "transfer.keras")
    with h5py.File(folder / "transfer.h5", "w") as file:
        keras.src.legacy.saving.legacy_h5_format.save_model_to_hdf5(model, file, include_optimizer=False)
    return folder


@pytest.fixture(scope="module")
def found(folder, examples):
    """What each backend finds, by its name: arrays by their names."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [sys.executable, SCRIPT, folder, examples / "cat.png"],
            env={**environment, "KERAS_BACKEND": backend},
            stderr=subprocess.PIPE,
            text=True,
        )
        for backend in BACKENDS
    ]
    for process in processes:
        _, message_of = process.communicate()
        assert process.returncode == 0, message_of
    return {backend: dict(np.load(folder / f"{backend}.npz")) for backend in BACKENDS}


@pytest.fixture(scope="module")
def here(folder, examples):
    """What this process finds in the files."""
    return explain_file(folder / FILES[0], examples / "cat.png") | explain_file(folder / FILES[1], examples / "cat.png")


@pytest.fixture(scope="module")
def native(examples):
    """What native PyTorch finds of EfficientNet-Lite0."""
    return explain_lite0(seewhy.load("efficientnet-lite0-torch"), examples / "cat.png")


@pytest.mark.parametrize("backend", [*BACKENDS, "onnx"])
def test_a_photo_of_a_cat_on_five_frameworks(found, native, backend, lite0, examples):
    """Grad-CAM and HiResCAM of the three best classes, (3, 7, 7)."""
    each = explain_lite0(lite0, examples / "cat.png") if backend == "onnx" else found[backend]
    each["classes"] = list(each["classes"])
    assert each["classes"] == native["classes"] == [282, 285, 281]  # tiger cat, Egyptian cat, tabby
    np.testing.assert_allclose(each["scores"], native["scores"], rtol=1e-4)
    for method in METHODS:
        for one, other in zip(each[method], native[method], strict=True):
            assert other.shape == (7, 7)
            assert other.max() > 0
            assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.9999
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-3 * other.max())


def same_maps(found, wanted, file, other_file=None):
    """Compare two results of `explain_file`, to 1e-4 of the maximum."""
    for layer in LAYERS:
        one, other = found[f"{other_file or file} {layer}"], wanted[f"{file} {layer}"]
        assert str(found[f"{other_file or file} {layer}, path"]) == wanted[f"{file} {layer}, path"]
        assert other.shape == ((3, 8, 8) if layer == "base/first" else (3, 4, 4))
        assert other.max() > 0
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-4 * other.max())


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("file", FILES)
def test_a_transfer_learning_model_from_one_file_on_three_backends(found, here, file, backend):
    """By "auto", by the path of a layer inside the base, and by its name alone."""
    paths = {layer: here[f"{file} {layer}, path"] for layer in LAYERS}
    assert paths == {layer: "base/first" if layer == "base/first" else "base/last_relu" for layer in LAYERS}
    same_maps(found[backend], here, file)


@pytest.mark.usefixtures("found")
@pytest.mark.parametrize("backend", BACKENDS)
def test_what_another_backend_saved_is_explained_here(folder, examples, here, backend):
    there = explain_file(folder / f"by-{backend}.keras", examples / "cat.png")
    same_maps(there, here, FILES[0], f"by-{backend}.keras")
