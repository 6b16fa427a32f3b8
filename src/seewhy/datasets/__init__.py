"""Many images: read from folders, archives and tables, explained in parts, and written as Parquet.

>>> from seewhy import datasets
>>> output = datasets.run("efficientnet-lite0", "photos", "explained")
>>> output.table().to_pandas()
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seewhy.datasets.batch_run import run
    from seewhy.datasets.output import Output
    from seewhy.datasets.output import open_output as open  # noqa: A004 - it is datasets.open
    from seewhy.datasets.overview.overview import ClassOverview, Cluster, Overview, make_overview
    from seewhy.datasets.overview.report import write_report
    from seewhy.datasets.overview.shortcuts import Shortcut
    from seewhy.datasets.progress import Progress

__all__ = [
    "ClassOverview",
    "Cluster",
    "Output",
    "Overview",
    "Progress",
    "Shortcut",
    "make_overview",
    "open",
    "run",
    "write_report",
]


_FILES = {
    "ClassOverview": ("overview.overview", "ClassOverview"),
    "Cluster": ("overview.overview", "Cluster"),
    "Output": ("output", "Output"),
    "Progress": ("progress", "Progress"),
    "Shortcut": ("overview.shortcuts", "Shortcut"),
    "Overview": ("overview.overview", "Overview"),
    "make_overview": ("overview.overview", "make_overview"),
    "open": ("output", "open_output"),
    "run": ("batch_run", "run"),
    "write_report": ("overview.report", "write_report"),
}


def __getattr__(name: str) -> Any:
    if name in _FILES:
        file, attribute = _FILES[name]
        return getattr(importlib.import_module(f"seewhy.datasets.{file}"), attribute)
    raise AttributeError(f"module 'seewhy.datasets' has no attribute {name!r}")
