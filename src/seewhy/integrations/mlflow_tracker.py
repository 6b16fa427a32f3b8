"""Images in MLflow, as artifacts of a run."""

from collections.abc import Mapping
from typing import Any

from seewhy.errors import MissingExtraError, OptionError, OutputError
from seewhy.representation import description
from seewhy.types import ImageArray


class MLflow:
    """Logs images to MLflow: to the run that is active when the training begins, or to one of its own.

    Args:
        tracking_uri: Where the runs are, such as "sqlite:///mlflow.db" or the address of a server. None is what
            `mlflow.set_tracking_uri` or MLFLOW_TRACKING_URI says.
        experiment: The name of the experiment of a run of its own, which is created where there is none.
        run_id: A run to log to, instead of the active one.

    Raises:
        MissingExtraError: mlflow is not installed.
    """

    def __init__(
        self, tracking_uri: str | None = None, experiment: str = "seewhy", *, run_id: str | None = None
    ) -> None:
        try:
            import mlflow
        except ModuleNotFoundError as error:
            raise MissingExtraError("To log to MLflow, mlflow", "mlflow") from error
        self._mlflow, self._tracking_uri, self._experiment = mlflow, tracking_uri, experiment
        self._given, self.run_id = run_id, run_id
        self._client: Any = None
        self._is_own = False

    def __repr__(self) -> str:
        return description(self, "to its active run" if self.run_id is None else f"to the run {self.run_id}")

    def start(self) -> None:
        """Take the run that was given or is active, or create one.

        Raises:
            OptionError: The runs cannot be reached, such as without a login.
        """
        try:
            self._client = self._mlflow.MlflowClient(self._tracking_uri)
            active = None if self._tracking_uri is not None else self._mlflow.active_run()
            self.run_id = self._given or (None if active is None else active.info.run_id)
            self._is_own = self.run_id is None
            if self.run_id is None:
                found = self._client.get_experiment_by_name(self._experiment)
                experiment = self._client.create_experiment(self._experiment) if found is None else found.experiment_id
                self.run_id = self._client.create_run(experiment).info.run_id
            else:
                self._client.get_run(self.run_id)
        except (self._mlflow.exceptions.MlflowException, OSError) as error:
            raise OptionError(
                f"MLflow cannot start a run at {self._tracking_uri or self._mlflow.get_tracking_uri()}: {error} "
                "Check the tracking URI, and the login of its server (MLFLOW_TRACKING_USERNAME and _PASSWORD)."
            ) from error

    def log(self, images: Mapping[str, ImageArray], epoch: int) -> None:
        """Log each image as an artifact in a folder of its epoch."""
        try:
            for name, image in images.items():
                group, _, image_name = name.rpartition("/")
                artifact = f"{group}/epoch-{epoch:04d}/{image_name}.png"
                self._client.log_image(self.run_id, image, artifact)
        except (self._mlflow.exceptions.MlflowException, OSError) as error:
            raise OutputError(f"MLflow did not take the images of epoch {epoch}: {error}") from error

    def close(self) -> None:
        """End the run, if it is its own."""
        try:
            if self._is_own and self.run_id is not None:
                self._client.set_terminated(self.run_id)
        except (self._mlflow.exceptions.MlflowException, OSError) as error:
            raise OutputError(f"MLflow cannot end the run {self.run_id}: {error}") from error
        finally:
            self.run_id = self._given
