"""The options that `Explainer`, `explain` and `compare` have in common."""

from collections.abc import Sequence
from typing import Literal, TypedDict, get_args

from seewhy.attribution.perturbation_runner import ProgressCallback
from seewhy.errors import OptionError
from seewhy.frameworks.tokens import TokenGrid
from seewhy.types import Backend, Fuse, Precision, Score

AugmentationName = Literal["flips", "scales"]


class ExplainerOptions(TypedDict, total=False):
    """The keyword-only options of `Explainer`, which `explain` and `compare` take too."""

    output: int | str | None
    fuse: Fuse | None
    augmentation: AugmentationName | Sequence[AugmentationName] | None
    signed: bool
    progress: bool | ProgressCallback
    precision: Precision
    backend: Backend | None
    tokens: TokenGrid | None


def check_options(score: Score, output: int | str | None, precision: Precision, backend: Backend | None = None) -> None:
    """Raise OptionError for a value that no model allows."""
    if backend is not None and backend not in get_args(Backend):
        raise OptionError(
            f"Unknown backend {backend!r}; expected 'onnx' or 'openvino', or None for the model's own framework."
        )
    if precision == "int8":  # type: ignore[comparison-overlap]
        raise OptionError(
            "precision='int8' is not offered: it halves the time of EfficientNet-Lite0, and changes heatmaps to a "
            "correlation of 0.3 to 0.9 with those in float32. Take 'float32' or 'bfloat16'."
        )
    if precision not in get_args(Precision):
        raise OptionError(f"Unknown precision {precision!r}; expected 'float32' or 'bfloat16'.")
    if backend == "onnx" and precision != "float32":
        raise OptionError(
            f"backend='onnx' runs in float32, and precision={precision!r} was given. Leave one out, or take "
            "backend='openvino', which also runs in bfloat16."
        )
    if score not in get_args(Score):
        raise OptionError(f"Unknown score {score!r}; expected 'logit' or 'probability'.")
    if not (output is None or isinstance(output, (int, str))):
        raise OptionError(f"output is {output!r}; expected the position or the key of an output.")
