"""Keras runs on one backend in a process: what is another one's own is tested in a run of its own (see Makefile)."""

import os

BACKENDS = ("tensorflow", "jax", "torch")

collect_ignore = [
    f"test_keras_{backend}.py" for backend in BACKENDS if backend != os.environ.get("KERAS_BACKEND", "tensorflow")
]
