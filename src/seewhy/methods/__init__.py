"""How activations and gradients become a heatmap: one short function each, and the table of their names."""

from collections.abc import Callable
from dataclasses import dataclass

from seewhy.errors import MethodError, did_you_mean
from seewhy.methods.gradcam import gradcam
from seewhy.methods.hirescam import hirescam
from seewhy.types import Capture, Tensor


@dataclass(frozen=True)
class Method:
    """A row of the table.

    Attributes:
        name: What a caller says.
        title: What a figure says.
        paper: Where it comes from.
        summary: What it does, in a line.
        function: A capture to heatmaps (N, T, *space).
    """

    name: str
    title: str
    paper: str
    summary: str
    function: Callable[[Capture], Tensor]

    def __call__(self, capture: Capture) -> Tensor:
        """Make heatmaps (N, T, *space) of a capture."""
        return self.function(capture)


METHODS = {
    method.name: method
    for method in (
        Method(
            name="gradcam",
            title="Grad-CAM",
            paper="arXiv 1610.02391",
            summary="channels weighted by their mean gradient; the usual choice",
            function=gradcam,
        ),
        Method(
            name="hirescam",
            title="HiResCAM",
            paper="arXiv 2011.08891",
            summary="each activation times its own gradient; shows only places the score rises with",
            function=hirescam,
        ),
    )
}


def get(name: str) -> Method:
    """Find a method by its name, or raise MethodError."""
    if not isinstance(name, str):
        raise MethodError(f"A method is given by its name, not as {name!r}. Known: {', '.join(METHODS)}.")
    if name not in METHODS:
        raise MethodError(f"Unknown method {name!r}.{did_you_mean(name, METHODS)} Known: {', '.join(METHODS)}.")
    return METHODS[name]
