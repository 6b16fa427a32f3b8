"""Run the command line in tests."""

import copy
import functools
import sys

import pytest

from seewhy.cli import main
from seewhy.cli.model_options import ModelArguments


@pytest.fixture(scope="session")
def load_once():
    """Load the default model once, with `ModelArguments.load`; its copies share what is traced, and not their name."""
    load = functools.cache(ModelArguments.load)
    default = ModelArguments("efficientnet-lite0")
    return lambda arguments: copy.copy(load(arguments)) if arguments == default else load.__wrapped__(arguments)


@pytest.fixture(autouse=True)
def forget_nets(monkeypatch):
    """Forget the module that a test wrote into its folder: the next test may write another one of that name.

    The command line appends the current folder to the path.
    """
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    sys.modules.pop("nets", None)


@pytest.fixture
def run_cold(monkeypatch, capfd):
    """Run the command line in this process; return (exit code, standard output, standard error)."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["seewhy", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "200")
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
        captured = capfd.readouterr()
        assert "Traceback" not in captured.err + captured.out
        return code, captured.out, captured.err

    return run


@pytest.fixture
def run(run_cold, load_once, monkeypatch):
    """Run the command line with a default model that tests share; it is loaded and traced once."""
    monkeypatch.setattr(ModelArguments, "load", load_once)
    return run_cold
