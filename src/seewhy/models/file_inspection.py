"""Have a model file inspected in a process with limited memory and time: see `file_inspector`, `onnx_inspector`."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
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

ONNX_PROGRAM = """
import sys, types
root, models = sys.argv[1:]
for name, folder in (
    ("seewhy", root),
    ("seewhy.models", models),
    ("seewhy.frameworks", root + "/frameworks"),
    ("seewhy.frameworks.onnx", root + "/frameworks/onnx"),
):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [folder]
from seewhy.models.onnx_inspector import main
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
    report = run_inspector(PROGRAM, path, request)
    return Inspection([UnlistedObject(*unlisted) for unlisted in report["unlisted"]], report["weight_bytes"])


def run_inspector(
    program: str, path: Path, request: Mapping[str, Any], meanwhile: Callable[[], object] = lambda: None
) -> dict[str, Any]:
    """Run a program that inspects a file, and return its report.

    Args:
        program: The program; it reads the request from the standard input and writes the report to the standard output.
        path: The file, as messages name it.
        request: What the program is given; its `path` is absolute.
        meanwhile: Called while the program runs.

    Raises:
        ModelError: The file is malicious or not supported, or the program did not end as it should.
        WeightsError: The file is empty or damaged, or does not contain a model.
    """
    models = Path(__file__).parent
    with subprocess.Popen(  # noqa: S603 - our own program, and no shell
        [sys.executable, "-I", "-c", program, str(models.parent), str(models)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **SINGLE_THREAD},
    ) as process:
        try:
            _send(process, json.dumps(request).encode())
            meanwhile()
            output, messages = process.communicate(timeout=MAX_TIME)
        except subprocess.TimeoutExpired as error:
            raise ModelError(f"{path} is not loaded: inspecting it took longer than {MAX_TIME} seconds.") from error
        finally:
            process.kill()  # if an error or an interrupt left it running
    report = _report(path, process.returncode, output, messages)
    message = report.get("message", "").replace(request["path"], str(path))
    if report.get("error") == "WeightsError":
        raise WeightsError(message)
    if "error" in report:
        raise ModelError(message)
    return report


def _send(process: subprocess.Popen[bytes], request: bytes) -> None:
    """Write the request, which is shorter than what a pipe holds, so that the process starts while others work."""
    assert process.stdin is not None  # noqa: S101  # a pipe
    with contextlib.suppress(BrokenPipeError):  # the process has ended already, as its report will say
        process.stdin.write(request)
        process.stdin.close()
    process.stdin = None  # so that `communicate` does not close it again


def _report(path: Path, code: int, output: bytes, messages: bytes) -> dict[str, Any]:
    try:
        report: dict[str, Any] = json.loads(output)
    except ValueError as error:
        lines = messages.decode(errors="replace").strip().splitlines() or ["no message"]
        reason = f"ended with {code} ({lines[-1][:300]})"
        if code == -signal.SIGXCPU:
            reason = "needed too much processor time"
        raise ModelError(f"{path} is not loaded: the process that inspected it {reason}.") from error
    return report
