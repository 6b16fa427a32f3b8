"""The precision that a model runs in."""

from collections.abc import Iterable

from seewhy.errors import OptionError
from seewhy.types import Precision


def check_precision(precision: Precision, types: Iterable[str]) -> None:
    """Raise OptionError for bfloat16 where none of the model's types, given by name, would be rounded to it."""
    names = sorted(set(types))
    if precision == "bfloat16" and names and not {"float32", "bfloat16"} & set(names):
        raise OptionError(
            f"precision='bfloat16' is for models that run in float32; this one runs in {', '.join(names)}. Leave it "
            "out, or load the model in float32."
        )
