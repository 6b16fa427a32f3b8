"""What explains the chunks of a source: this process, or workers of Ray; and what makes their explainer."""

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import FunctionType, MethodType
from typing import Any, Literal, Protocol, get_args

from seewhy.datasets import local_executor
from seewhy.datasets.part import PartWriter
from seewhy.datasets.progress import Progress, ProgressCallback
from seewhy.datasets.records import Chunk
from seewhy.errors import OptionError, short_repr
from seewhy.explainer import Explainer, ModelSource
from seewhy.images.style import check_name

ExecutorName = Literal["local", "ray"]

MakesExplainer = Callable[[], Explainer | ModelSource]
"""A function without arguments that makes an explainer, or what `Explainer` takes as a model."""

FUNCTIONS = (FunctionType, MethodType, partial)
"""The types of such functions: models can be called too."""

DEFAULTS: Mapping[str, object] = {"workers": None, "cpus_per_worker": 1, "gpus_per_worker": 0, "address": None}


class ExplainChunks(Protocol):
    """Explains chunks and writes their parts: what an executor is."""

    def __call__(
        self,
        writer: PartWriter,
        chunks: Sequence[Chunk],
        state: Progress,
        progress: ProgressCallback | None,
        should_stop: Callable[[], bool],
    ) -> None:
        """Explain chunks; see `local_executor.explain_chunks`."""


def made_explainer(model: Explainer | ModelSource | MakesExplainer) -> Explainer:
    """Return an explainer as it is, that of a model, or the one that a function makes."""
    if isinstance(model, FUNCTIONS):
        model = model()
    return model if isinstance(model, Explainer) else Explainer(model)


def choose_executor(
    name: ExecutorName,
    model: Explainer | ModelSource | MakesExplainer,
    time_limit: float | None,
    options: Mapping[str, Any],
) -> ExplainChunks:
    """Return what explains the chunks.

    Args:
        name: Its name.
        model: What the caller gave.
        time_limit: Seconds for decoding an image in a process of its own; None decodes in the worker.
        options: Those of `RayOptions`.

    Raises:
        OptionError: The name or an option is invalid; or the model cannot be sent to workers.
        MissingExtraError: Ray is not installed.
    """
    check_name("executor", name, get_args(ExecutorName))
    if name == "local":
        given = next((option for option, value in options.items() if value != DEFAULTS[option]), None)
        if given is not None:
            raise OptionError(f"{given}= is for workers of Ray. Give executor='ray' too, or leave it out.")
        return local_executor.explain_chunks
    from seewhy.datasets.ray_cluster import RayOptions
    from seewhy.datasets.ray_executor import RayExecutor
    from seewhy.datasets.ray_worker import SENDABLE

    ray_options = RayOptions(**options)
    ray_options.check()
    if not isinstance(model, (str, os.PathLike, *FUNCTIONS)):
        raise OptionError(
            f"Each worker of Ray loads the model by itself, and {short_repr(model)} is in the memory of this process. "
            f"Give {SENDABLE}."
        )
    return RayExecutor(partial(made_explainer, model), ray_options, time_limit).explain_chunks
