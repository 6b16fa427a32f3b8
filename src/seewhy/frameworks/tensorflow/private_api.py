"""Every private name of TensorFlow that SeeWhy uses, in this file alone.

They are the same in TensorFlow 2.18 to 2.21. No other file uses one (decision 0001; a test checks it).

| name | used for |
| --- | --- |
| `Graph._get_function` | the graph of a function that an operation calls, of which there is no public list |
| `_noinline` | the attribute of a function that is not inlined into its caller |
"""

from collections.abc import Iterable
from typing import Any

NOT_INLINED = {"_noinline": True}
"""The attributes of a function that TensorFlow does not inline."""


def function_graph(operation: Any, graphs: Iterable[Any]) -> Any:
    """Return the graph of the function that an operation calls, as one of `graphs` knows it; None if none does."""
    name = operation.get_attr("f").name
    functions = (graph._get_function(name) for graph in graphs)
    return next((function.graph for function in functions if hasattr(function, "graph")), None)
