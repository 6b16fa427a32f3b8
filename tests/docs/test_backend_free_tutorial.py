"""The tutorial that runs unchanged on every backend of Keras prints the same on each, and agrees with its own maths."""

import json
import os
import subprocess
import sys

import pytest
from docs_build.images import ROOT
from docs_build.tutorials import OUTPUTS

pytestmark = pytest.mark.slow(reason="imports TensorFlow, JAX and PyTorch in three processes of their own")

PAGE = ROOT / "docs" / "tutorials" / "class-activation-maps.md"
BACKENDS = ("tensorflow", "jax", "torch")


def test_it_prints_the_same_on_every_backend(tmp_path):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "error::UserWarning"}
    for backend in BACKENDS:
        (tmp_path / backend).mkdir()
        (tmp_path / backend / "examples").symlink_to(ROOT / "examples")
    processes = [
        subprocess.Popen(
            [sys.executable, ROOT / "docs_build" / "tutorials.py", PAGE, tmp_path / backend],
            env={**environment, "KERAS_BACKEND": backend},
            stderr=subprocess.PIPE,
            text=True,
        )
        for backend in BACKENDS
    ]
    for process in processes:
        _, message = process.communicate()
        assert process.returncode == 0, message
    first, *others = (json.loads((tmp_path / backend / OUTPUTS).read_text("utf-8")) for backend in BACKENDS)
    assert others == [first, first]
    assert "282  tiger cat     0.385" in first[1]
    assert first[-1] == "(7, 7) True\n"  # the shape of the map by hand, and that it is SeeWhy's
