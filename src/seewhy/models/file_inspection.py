"""Have a model file inspected in a process with limited memory and time: see `file_inspector`."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from seewhy.errors import ModelError, WeightsError
from seewhy.models.config_check import UnlistedObject

MAX_TIME = 120
"""Seconds until the inspection is given up. It takes 0.3 on an idle machine."""

# The packages are empty stand-ins: importing them would take longer than the inspection.
PROGRAM = """
import sys, types
for name, folder in (("seewhy", sys.argv[1]), ("seewhy.models", sys.argv[2])):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [folder]
from seewhy.models.file_inspector import main
main()
"""

SINGLE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""NumPy reserves memory for each of its threads."""


class Inspection(NamedTuple):
    """What was found in a file.

    Attributes:
        unlisted: The classes and functions that the config names and that are not on the allow-list.
        weight_bytes: The bytes of the weights in the file.
    """

    unlisted: list[UnlistedObject]
    weight_bytes: int


def inspect(path: Path, *, trust: bool, weights_only: bool = False) -> Inspection:
    """Inspect a `.keras` or HDF5 file.

    Args:
        path: The file.
        trust: True skips the check of what the config names.
        weights_only: True skips the config: only weights are loaded from the file.

    Raises:
        ModelError: The file is malicious, or contains code and is not trusted.
        WeightsError: The file is empty or damaged, or does not contain a model.
    """
    request = {"path": os.path.abspath(path), "trust": trust, "weights_only": weights_only}
    models = Path(__file__).parent
    try:
        finished = subprocess.run(  # noqa: S603 - our own program, and no shell
            [sys.executable, "-I", "-c", PROGRAM, str(models.parent), str(models)],
            input=json.dumps(request).encode(),
            capture_output=True,
            check=False,
            timeout=MAX_TIME,
            env={**os.environ, **SINGLE_THREAD},
        )
    except subprocess.TimeoutExpired as error:
        raise ModelError(f"{path} is not loaded: inspecting it took longer than {MAX_TIME} seconds.") from error
    report = _report(path, finished)
    message = report.get("message", "").replace(request["path"], str(path))
    if report.get("error") == "WeightsError":
        raise WeightsError(message)
    if "error" in report:
        raise ModelError(message)
    return Inspection([UnlistedObject(*unlisted) for unlisted in report["unlisted"]], report["weight_bytes"])


def _report(path: Path, finished: subprocess.CompletedProcess[bytes]) -> dict[str, Any]:
    try:
        report: dict[str, Any] = json.loads(finished.stdout)
    except ValueError as error:
        lines = finished.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
        raise ModelError(
            f"{path} is not loaded: the process that inspected it ended with {finished.returncode} ({lines[-1][:300]})."
        ) from error
    return report
