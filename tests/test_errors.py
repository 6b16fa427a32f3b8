import inspect

import pytest

from seewhy import errors
from seewhy.errors import SeewhyError, UsageError, did_you_mean, install_command

CLASSES = [error for _, error in inspect.getmembers(errors, inspect.isclass) if error.__module__ == "seewhy.errors"]
TREE = [error for error in CLASSES if error is not errors.SeewhyWarning]  # the warning is outside the tree


def test_the_tree_is_drawn_at_the_top():
    assert len(TREE) > 10
    for error in TREE:
        assert error.__name__ in errors.__doc__
        assert issubclass(error, SeewhyError)


@pytest.mark.parametrize("error", TREE)
def test_exit_codes(error):
    assert error.exit_code == (2 if issubclass(error, UsageError) else 1)


def test_a_missing_extra_says_what_to_type_and_is_an_import_error():
    error = errors.MissingExtraError("tensorflow", "tensorflow")
    assert str(error) == f"tensorflow is not installed. Install it with: {install_command('tensorflow')}"
    assert isinstance(error, ImportError)


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("conv5_blok3_out", " Did you mean 'conv5_block3_out'?"),
        ("CONV1", " Did you mean 'conv1'?"),
        ("zzz", ""),
    ],
)
def test_near_misses(name, suggestion):
    assert did_you_mean(name, ["conv1", "conv5_block3_out", "predictions"]) == suggestion
