"""What C++ code prints while a framework is imported is hidden, if nobody else imported TensorFlow or set its log."""

import logging
import os
import sys
import threading

import pytest

import seewhy
from seewhy.errors import ModelError
from seewhy.startup_log import quiet_start

NOISY = """
import os, sys, torch

def build():
    os.write(2, b"the log\\n")
    print("from Python", file=sys.stderr)
    return torch.nn.Conv2d(3, 2, 1)

def fail():
    os.write(2, b"the log\\n")
    raise KeyError("no")
"""


@pytest.fixture
def first_start(monkeypatch, tmp_path):
    """TensorFlow is not imported yet, and there is a module that prints as its C++ code does."""
    (tmp_path / "noisy.py").write_text(NOISY)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "noisy", raising=False)
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)


@pytest.mark.usefixtures("first_start")
def test_the_log_is_hidden_while_a_model_is_loaded(capfd):
    environment = dict(os.environ)
    seewhy.load("noisy:build")
    assert "the log" not in capfd.readouterr().err
    assert dict(os.environ) == environment
    os.write(2, b"later\n")
    assert capfd.readouterr().err == "later\n"


@pytest.mark.usefixtures("first_start")
@pytest.mark.parametrize("level", ["0", "2"])
def test_a_level_that_the_user_has_set_is_respected(capfd, monkeypatch, level):
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", level)
    seewhy.load("noisy:build")
    assert "the log" in capfd.readouterr().err


@pytest.mark.usefixtures("first_start")
def test_nothing_is_hidden_where_tensorflow_is_imported_already(capfd, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", sys)
    seewhy.load("noisy:build")
    assert "the log" in capfd.readouterr().err


@pytest.mark.usefixtures("first_start")
def test_the_log_is_hidden_with_an_error_of_ours_and_printed_with_another(capfd):
    with pytest.raises(ModelError, match="calling it failed"):
        seewhy.load("noisy:fail")
    assert "the log" not in capfd.readouterr().err
    with pytest.raises(KeyError), quiet_start():
        raise KeyError(os.write(2, b"the log\n"))
    assert "the log" in capfd.readouterr().err


def test_what_python_prints_is_visible(capfd, monkeypatch):
    with open(2, "w", encoding="utf-8", closefd=False) as stream:  # as outside of pytest
        monkeypatch.setattr(sys, "stderr", stream)
        with quiet_start():
            os.write(2, b"hidden\n")
            sys.stderr.write("visible\n")
    assert capfd.readouterr().err == "visible\n"


def test_a_handler_of_logging_made_meanwhile_still_writes_afterwards(capfd, monkeypatch):
    with open(2, "w", encoding="utf-8", closefd=False) as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        for _ in range(2):
            with quiet_start():
                handler = logging.StreamHandler()
            assert sys.stderr is stream
            handler.emit(logging.LogRecord("tf", logging.WARNING, "", 0, "afterwards", None, None))
    assert capfd.readouterr().err == "afterwards\n" * 2


def test_two_threads_and_a_block_in_a_block_restore_standard_error(capfd):
    """The second thread enters while the first is in its block, and leaves last."""
    entered, left = threading.Event(), threading.Event()

    def second():
        with quiet_start(), quiet_start():
            entered.set()
            assert left.wait(10)
            os.write(2, b"hidden\n")

    thread = threading.Thread(target=second)
    with quiet_start():
        thread.start()
        assert entered.wait(10)
    left.set()
    thread.join()
    os.write(2, b"later\n")
    assert capfd.readouterr().err == "later\n"
    with pytest.raises(KeyError), quiet_start(), quiet_start():
        raise KeyError(os.write(2, b"the log\n"))
    assert capfd.readouterr().err == "the log\n"  # once
