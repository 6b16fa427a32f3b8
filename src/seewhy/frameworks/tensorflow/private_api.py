"""Every private name of TensorFlow that SeeWhy uses, in this file alone.

They are the same in TensorFlow 2.16 to 2.21. No other file uses one (decision 0001; a test checks it).

| name | used for |
| --- | --- |
| `Graph._get_function` | the graph of a function that an operation calls, of which there is no public list |
"""

from collections.abc import Iterable
from typing import Any


def function_graph(operation: Any, graphs: Iterable[Any]) -> Any:
    """Return the graph of the function that an operation calls, as one of `graphs` knows it; None if none does."""
    name = operation.get_attr("f").name
    functions = (graph._get_function(name) for graph in graphs)
    return next((function.graph for function in functions if hasattr(function, "graph")), None)
