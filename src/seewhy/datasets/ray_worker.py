"""A worker of Ray: an actor that loads the model once, and writes the parts of the chunks that it is sent.

What a worker cannot do is returned and not raised, with the class and the message of the error: Ray would wrap it in an
error of its own. Importing this module imports no framework, so that `__init__` can limit its threads before.
"""

import hashlib
import os
import pickle
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from seewhy import errors
from seewhy.datasets.records import Chunk
from seewhy.errors import ImageError, OptionError, OutputError, SeewhyError

THREADS = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "NPROC")
"""The environment variables by which NumPy, PyTorch and ONNX Runtime, TensorFlow, and JAX are told their threads."""

GROWING_MEMORY = {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
"""Lets TensorFlow and JAX take of a GPU what they need: workers may share it."""

SENDABLE = (
    "the name or the path of a model, such as 'vgg16' or 'model.onnx'; or a function without arguments that makes the "
    "explainer, such as lambda: seewhy.Explainer('model.onnx', method='layercam')"
)
"""What can be sent to workers."""

SHARED = "must be on a file system that all machines of the cluster share"


@final
@dataclass(frozen=True)
class Refusal:
    """An error of a worker.

    Attributes:
        kind: The name of its class.
        message: What it says.
    """

    kind: str
    message: str

    @classmethod
    def of(cls, error: SeewhyError) -> "Refusal":
        """Return an error as it is sent."""
        return cls(type(error).__name__, str(error))

    def error(self, prefix: str = "") -> SeewhyError:
        """Return the error again; without calling its class, whose arguments may be others than a message."""
        kind = getattr(errors, self.kind, SeewhyError)
        message = prefix + self.message
        made: SeewhyError = kind.__new__(kind, message)
        made.args = (message,)
        return made


@final
@dataclass(frozen=True)
class Place:
    """Where a worker runs."""

    host: str
    process: int

    def __str__(self) -> str:
        return f"{self.host} (process {self.process})"


@final
@dataclass(frozen=True)
class WrittenPart:
    """What a worker reports of a part.

    Attributes:
        results: The number of its results.
        failed: The keys of the images that failed, and why.
    """

    results: int
    failed: Sequence[tuple[str, Refusal]]


@final
@dataclass(frozen=True)
class WorkerPlan:
    """What every worker is sent: how to make the writer of parts, and what to check before.

    Attributes:
        make: Makes the explainer.
        target: What is explained.
        folder: The output folder, an absolute path.
        run_hash: The hash of the `run.json` in it.
        settings: What the run is made with.
        working_folder: The current folder of the program, to which relative paths refer.
        time_limit: Seconds for decoding an image in a process of its own; None decodes in the worker.
        sample: A chunk, and the position of an image of it that the program can read; None if there is none.
    """

    make: Callable[[], Any]
    target: Any
    folder: Path
    run_hash: str
    settings: dict[str, Any]
    working_folder: str
    time_limit: float | None
    sample: tuple[Chunk, int] | None


@final
class Worker:
    """Explains chunks, one after the other.

    Args:
        threads: How many threads run the model.
    """

    def __init__(self, threads: int) -> None:
        os.environ.update(dict.fromkeys(THREADS, str(threads)))
        os.environ["TF_NUM_INTEROP_THREADS"] = "1"
        for name, value in GROWING_MEMORY.items():
            os.environ.setdefault(name, value)
        self._writer: Any = None

    def place(self) -> Place:
        """Return where the worker runs, as soon as it does."""
        return Place(socket.gethostname(), os.getpid())

    def load(self, pickled: bytes) -> Refusal | None:
        """Load the model, as a pickled plan says; an error is returned.

        The plan is unpickled here, as it may need files and modules that are not on this machine.
        """
        try:
            plan = pickle.loads(pickled)  # noqa: S301  # from the program that started this worker
        except (OSError, ImportError, AttributeError) as error:
            message = f"What was sent to the worker needs what is not there: {error}. Give all machines the same files."
            return Refusal("OptionError", message)
        return self.prepare(plan)

    def prepare(self, plan: WorkerPlan) -> Refusal | None:
        """Load the model; an error is returned."""
        try:
            self._load(plan)
        except SeewhyError as error:
            return Refusal.of(error)
        return None

    def write(self, chunk: Chunk) -> WrittenPart | Refusal:
        """Explain a chunk and write its part; an error is returned."""
        from seewhy.datasets.schema import FailedImage

        failed: list[tuple[str, Refusal]] = []

        def collect(batch: Sequence[Any]) -> None:
            failed.extend((image.key, Refusal.of(image.error)) for image in batch if isinstance(image, FailedImage))

        try:
            counts = self._writer.write(chunk, collect)
        except SeewhyError as error:
            return Refusal.of(error)
        return WrittenPart(counts.results, failed)

    def _load(self, plan: WorkerPlan) -> None:
        from seewhy.datasets.decoding import DecoderProcesses, decode
        from seewhy.datasets.writer import make_writer, settings_of

        shares_working_folder = _enter(plan.working_folder)
        _check_folder(plan)
        read = decode if plan.time_limit is None else DecoderProcesses(plan.time_limit).decode
        if plan.sample is not None:
            _check_sample(*plan.sample, read)
        try:
            explainer = plan.make()
        except SeewhyError as error:
            if shares_working_folder:
                raise
            prefix = f"There is no folder {plan.working_folder}, to which relative paths refer. "
            raise Refusal.of(error).error(prefix) from error
        _check_settings(plan.settings, settings_of(explainer))
        self._writer = make_writer(explainer, plan.target, plan.folder, plan.settings)
        self._writer.decode = read


def _enter(folder: str) -> bool:
    """Make the current folder of the program that of the worker, if it is there, and return whether it is."""
    try:
        os.chdir(folder)
    except OSError:
        return False
    return True


def run_hash(folder: Path) -> str | None:
    """Return the hash of the `run.json` of an output folder; None if there is none."""
    from seewhy.datasets.run_folder import RUN

    try:
        return hashlib.sha256((folder / RUN).read_bytes()).hexdigest()
    except OSError:
        return None


def _check_folder(plan: WorkerPlan) -> None:
    found = run_hash(plan.folder)
    if found != plan.run_hash:
        state = "is not there" if found is None else "holds another run"
        raise OutputError(f"The output folder {plan.folder} {state}. It {SHARED}.")


def _check_sample(chunk: Chunk, position: int, read: Callable[[Any], Any]) -> None:
    """Raise OptionError if an image cannot be read here that the program could read."""
    try:
        record = next((record for record in chunk.records() if record.position == position), None)
        if record is None:
            raise ImageError(f"The image {position:,} of the source is not there.")
        read(record)
    except ImageError as error:
        raise OptionError(f"The source cannot be read: {error} It {SHARED}, or have a URL.") from error


def _check_settings(settings: dict[str, Any], found: dict[str, Any]) -> None:
    """Raise OptionError if the explainer is not the one that the run was begun with."""
    other = [
        f"{name} is {value}, expected {settings[name]}" for name, value in found.items() if settings[name] != value
    ]
    if other:
        raise OptionError(
            f"This explainer is not that of the run: {'; '.join(other)}. Give all machines the same files and "
            "versions; a function has to make the same model whenever it is called."
        )
