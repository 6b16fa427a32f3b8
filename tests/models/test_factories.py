"""A function of the user's that returns a model, in a module that is written for each test."""

import sys

import keras
import pytest

import seewhy
from seewhy.errors import ModelError, TargetError

MODEL = "import keras\ndef build():\n    return keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Conv2D(2, 3)])\n"


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Write a module that can be imported until the test is over, and return its name."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(content, name="users_own"):
        path = tmp_path.joinpath(*name.split(".")).with_suffix(".py")
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
        monkeypatch.delitem(sys.modules, name, raising=False)
        return name

    yield write
    for name in [name for name in sys.modules if name.split(".")[0] in ("users_own", "users_package")]:
        del sys.modules[name]


def test_a_function_that_returns_a_model(module):
    classifier = seewhy.load(module(MODEL) + ":build")
    assert isinstance(classifier.model, keras.Sequential)
    assert classifier.input_size == (4, 4)


def test_a_function_in_a_package_that_returns_a_classifier(module):
    content = MODEL + "import seewhy\nclass Nets:\n    @staticmethod\n    def cats():\n"
    content += "        return seewhy.Classifier(build(), class_names=['cat', 'dog'], name='cats')\n"
    classifier = seewhy.load(module(content, "users_package.nets") + ":Nets.cats")
    assert (classifier.name, list(classifier.class_names)) == ("cats", ["cat", "dog"])


@pytest.mark.parametrize("expression", ["build()", "seewhy.Classifier(build())"])
def test_an_existing_model_is_not_called(module, expression):
    classifier = seewhy.load(module(MODEL + f"import seewhy\nready = {expression}\n") + ":ready")
    assert classifier.input_size == (4, 4)


@pytest.mark.parametrize(
    ("source", "missing"),
    [
        ("no_such_module:build", "no_such_module"),
        ("no_such.deep.module:build", "no_such"),
        ("PIL.none:x", "PIL.none"),
    ],
)
def test_a_missing_module(source, missing):
    with pytest.raises(ModelError, match=rf"Cannot load '{source}': there is no module '{missing}'\."):
        seewhy.load(source)


def test_a_module_that_fails_to_import_another_is_not_reported_as_missing(module):
    name = module("import os\n\nimport not_installed_here\n")
    with pytest.raises(ModelError) as raised:
        seewhy.load(name + ":build")
    message = str(raised.value)
    assert "there is no module" not in message
    assert "importing 'users_own' failed" in message
    assert "users_own.py, line 3): ModuleNotFoundError: No module named 'not_installed_here'" in message
    assert isinstance(raised.value.__cause__, ModuleNotFoundError)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("x = 1\nx / 0\n", r"importing 'users_own' failed \(.*users_own.py, line 2\): ZeroDivisionError: division"),
        ("from os import nothing\n", r"importing 'users_own' failed \(.*users_own.py, line 1\): ImportError: cannot"),
        ("def build(:\n", r"importing 'users_own' failed .*: SyntaxError: invalid syntax"),
        ("def build():\n    return [][1]\n", r"calling it failed \(.*users_own.py, line 2\): IndexError: list index"),
        ("import sys\ndef build():\n    sys.exit()\n", r"calling it failed \(.*users_own.py, line 3\): SystemExit: "),
        ("raise SystemExit(3)\n", r"importing 'users_own' failed \(.*users_own.py, line 1\): SystemExit: 3"),
        ("def build(size): ...\n", r"calling it failed .*: TypeError: build\(\) missing 1 required positional"),
        ("def build(): ...\n", r"'users_own:build' did not return a model that SeeWhy can run. .* builtins.NoneType"),
        ("def biuld(): ...\n", r"the module 'users_own' has no 'build'. Did you mean 'biuld'\?"),
    ],
)
def test_errors_in_the_user_s_code_are_reported_with_file_and_line(module, content, message):
    with pytest.raises(ModelError, match=message):
        seewhy.load(module(content) + ":build")


def test_seewhy_errors_in_the_function_are_not_wrapped(module):
    content = "import seewhy\ndef build():\n    seewhy.ClassNames(['a'], ids=['x', 'y'])\n"
    with pytest.raises(TargetError, match="There are 1 class names and 2 ids"):
        seewhy.load(module(content) + ":build")


@pytest.mark.parametrize("source", ["sys:exit", "builtins:breakpoint", "os:_exit", "os.path:abspath", "pdb:set_trace"])
def test_functions_of_python_itself_are_not_called(source):
    with pytest.raises(ModelError, match=rf"Cannot load '{source}': '[a-z.]+' is a module of Python itself; expected"):
        seewhy.load(source)


def test_a_function_that_exits_is_an_error_also_under_another_name(module):
    with pytest.raises(ModelError, match=r"calling it failed .*SystemExit"):
        seewhy.load(module("from sys import exit as build\n") + ":build")
