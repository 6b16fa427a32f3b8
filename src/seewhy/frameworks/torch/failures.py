"""The exceptions of models on PyTorch, of native modules and of Keras models."""

FAILURES = (RuntimeError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, AssertionError)
"""The exceptions of PyTorch, Keras and model libraries for a model that cannot run on its input, or backward."""
