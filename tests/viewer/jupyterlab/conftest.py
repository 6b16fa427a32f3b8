"""A JupyterLab server for the tests of the widget, which need an environment of their own: `make test-notebook`."""

import importlib.metadata
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

SECONDS = 60
"""The longest that the server may take to start."""


def shared_data(package):
    """Return the folder `share/jupyter` that has the extension of the package, in the environment of the package."""
    files = importlib.metadata.distribution(package).files
    extension = next(Path(os.path.normpath(file.locate())) for file in files if "labextensions" in file.parts)
    return next(parent for parent in extension.parents if parent.name == "labextensions").parent


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder that JupyterLab shows."""
    return tmp_path_factory.mktemp("notebooks")


@pytest.fixture(scope="module")
def lab_environment(tmp_path_factory):
    """Variables of the environment with which Jupyter knows no settings of the user, and finds the extensions."""
    own = tmp_path_factory.mktemp("jupyter")
    packages = {str(shared_data(name)) for name in ("anywidget", "jupyterlab_widgets")}
    return {
        **os.environ,
        "JUPYTER_CONFIG_DIR": str(own / "config"),
        "JUPYTER_DATA_DIR": str(own / "data"),
        "JUPYTER_RUNTIME_DIR": str(own / "runtime"),
        "JUPYTER_PATH": os.pathsep.join(packages),
        "IPYTHONDIR": str(own / "ipython"),
    }


@pytest.fixture(scope="module")
def lab(folder, lab_environment, tmp_path_factory):
    """The address of a JupyterLab server."""
    log = tmp_path_factory.mktemp("log") / "jupyterlab.txt"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = [
        f"--port={port}",
        "--no-browser",
        "--allow-root",
        "--IdentityProvider.token=",
        f"--notebook-dir={folder}",
    ]
    with log.open("w") as file:
        command = [sys.executable, "-m", "jupyterlab", *options]
        server = subprocess.Popen(command, env=lab_environment, stdout=file, stderr=subprocess.STDOUT)
    try:
        wait_for(server, f"http://127.0.0.1:{port}/api/status", log)
        yield f"http://127.0.0.1:{port}/lab"
    finally:
        server.terminate()  # it ends its kernels
        server.wait(SECONDS)


def wait_for(server, address, log):
    """Wait until the server answers; fail with its log if it does not."""
    for _ in range(SECONDS * 2):
        try:
            urllib.request.urlopen(address).close()  # noqa: S310  # our own server
        except urllib.error.URLError:
            time.sleep(0.5)
        else:
            return
        if server.poll() is not None:
            break
    pytest.fail(log.read_text("utf-8"))
