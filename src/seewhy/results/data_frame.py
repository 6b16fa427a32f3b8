"""Tables of results, in pandas or polars."""

import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

from seewhy.errors import MissingExtraError
from seewhy.images.style import check_name

Library = Literal["pandas", "polars"]


def data_frame(columns: Mapping[str, Sequence[Any]], library: Library | None, floats: Sequence[str] = ()) -> Any:
    """Return columns as a data frame.

    Args:
        columns: The values by the name of their column.
        library: Whose data frame; None for that of pandas, or of polars where pandas is not installed.
        floats: The columns that are float64 also where every value is missing, so that tables can be joined.

    Raises:
        OptionError: The library is unknown.
        MissingExtraError: It is not installed.
    """
    if library is not None:
        check_name("library", library, get_args(Library))
    chosen = get_args(Library) if library is None else (library,)
    name = next((each for each in chosen if importlib.util.find_spec(each) is not None), None)
    if name is None:
        raise MissingExtraError(f"For a data frame, {' or '.join(chosen)}", "tables")
    module = importlib.import_module(name)
    if name == "pandas":
        return module.DataFrame(dict(columns)).astype(dict.fromkeys(floats, "float64"))
    return module.DataFrame(dict(columns), schema_overrides=dict.fromkeys(floats, module.Float64))
