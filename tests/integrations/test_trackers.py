"""Pictures in Weights & Biases and MLflow. Run in an environment that has them, else skipped."""

import os

import numpy as np
import pytest
from PIL import Image

from seewhy.errors import OptionError
from seewhy.integrations import MLflow, WeightsAndBiases

pytestmark = pytest.mark.filterwarnings("default")

PICTURES = {f"seewhy/image-{row}": np.full((4, 6, 3), 40 * row, np.uint8) for row in (1, 2)}


def log_two_epochs(tracker):
    tracker.start()
    for epoch in (0, 3):
        tracker.log(PICTURES, epoch)


def test_mlflow_has_the_pictures_of_a_run(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow", reason="MLflow is not installed: pip install 'seewhy[mlflow]'")
    monkeypatch.chdir(tmp_path)  # where artifacts are written
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    tracker = MLflow(uri, "digits")
    log_two_epochs(tracker)
    run_id = tracker.run_id
    tracker.close()
    client = mlflow.MlflowClient(uri)
    run = client.get_run(run_id)
    assert (run.info.status, client.get_experiment(run.info.experiment_id).name) == ("FINISHED", "digits")
    path = client.download_artifacts(run_id, "seewhy/epoch-0003/image-2.png", str(tmp_path))
    np.testing.assert_array_equal(np.asarray(Image.open(path)), PICTURES["seewhy/image-2"])
    with pytest.raises(OptionError, match=r"MLflow cannot start a run at sqlite.*Check the tracking URI"):
        MLflow(uri, run_id="no-such-run").start()


def test_weights_and_biases_writes_an_offline_run(tmp_path):
    pytest.importorskip("wandb", reason="Weights & Biases is not installed: pip install 'seewhy[wandb]'")
    tracker = WeightsAndBiases(mode="offline", project="digits", dir=tmp_path)
    log_two_epochs(tracker)
    tracker.close()
    (run,) = (tmp_path / "wandb").glob("offline-run-*")
    written = sorted((run / "files" / "media" / "images" / "seewhy").iterdir())
    assert [path.name.partition("_")[0] for path in written] == ["image-1", "image-1", "image-2", "image-2"]
    np.testing.assert_array_equal(np.asarray(Image.open(written[-1])), PICTURES["seewhy/image-2"])


def test_weights_and_biases_without_a_login_is_refused(tmp_path, monkeypatch):
    pytest.importorskip("wandb", reason="Weights & Biases is not installed: pip install 'seewhy[wandb]'")
    monkeypatch.setenv("HOME", os.fspath(tmp_path))
    monkeypatch.setenv("NETRC", os.fspath(tmp_path / "netrc"))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    with pytest.raises(OptionError, match=r"cannot start a run: .*Log in with `wandb login`"):
        WeightsAndBiases(mode="online", dir=tmp_path).start()
