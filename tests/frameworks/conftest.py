"""Keras runs on one backend per process: the tests of another backend are collected in a run of their own."""

import os

BACKENDS = {"tensorflow": "tensorflow", "jax": "jax", "torch": "torch/test_keras.py"}
"""The tests of one Keras backend. The other files in `torch/` test native PyTorch, which runs beside any backend."""

collect_ignore = [
    tests for backend, tests in BACKENDS.items() if backend != os.environ.get("KERAS_BACKEND", "tensorflow")
]
