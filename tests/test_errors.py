import inspect
from importlib.metadata import PackageNotFoundError
from types import SimpleNamespace

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


@pytest.mark.parametrize(
    ("origin", "command"),
    [
        (None, "pip install 'seewhy[jax]'"),  # from an index, which leaves no file
        (
            '{"url": "file:///home/a%20b/see", "dir_info": {"editable": true}}',
            "pip install --editable '/home/a b/see[jax]'",
        ),
        ('{"url": "file:///home/see", "dir_info": {}}', "pip install '/home/see[jax]'"),
        ('{"url": "file:///tmp/seewhy-0.1.0.whl", "archive_info": {}}', "pip install '/tmp/seewhy-0.1.0.whl[jax]'"),
        (
            '{"url": "https://example.org/see.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}}',
            "pip install 'seewhy[jax] @ git+https://example.org/see.git'",
        ),
        ("damaged", "pip install 'seewhy[jax]'"),
    ],
)
def test_an_extra_is_installed_from_where_seewhy_was_installed(monkeypatch, origin, command):
    installed = SimpleNamespace(read_text=lambda name: origin if name == "direct_url.json" else "")
    monkeypatch.setattr("importlib.metadata.distribution", lambda _: installed)
    assert install_command("jax") == command


def test_an_extra_of_seewhy_that_is_not_installed(monkeypatch):
    def not_found(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.distribution", not_found)
    assert install_command("jax") == "pip install 'seewhy[jax]'"
