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


def function_graph(operation: Any, graphs: Iterable[Any], attribute: str = "f") -> Any:
    """Return the graph of a function that an operation runs, as one of `graphs` knows it; None if none does.

    The attribute names the function: "f" for a call, "body" for a loop, "then_branch" for a branch.
    """
    name = operation.get_attr(attribute).name
    functions = (graph._get_function(name) for graph in graphs)
    return next((function.graph for function in functions if hasattr(function, "graph")), None)
