"""What importing costs, and who may import whom."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "seewhy"
PLUGINS = SOURCE / "plugins.py"
FRAMEWORKS = {"tensorflow", "keras", "torch", "jax"}


def imported_by(statement, *arguments):
    """Return the top-level names of all modules a fresh Python has after a statement, which is given the arguments."""
    code = f"{statement}\nimport sys; print(*{{name.split('.')[0] for name in sys.modules}})"
    finished = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    return set(finished.stdout.split())


@pytest.mark.parametrize("statement", ["import seewhy", "import seewhy.cli", "import seewhy; seewhy.Placement"])
def test_importing_seewhy_imports_no_framework_and_draws_nothing(statement):
    assert imported_by(statement) & (FRAMEWORKS | {"matplotlib", "IPython"}) == set()


def test_that_test_can_fail():  # with a module that is quick to import
    assert "matplotlib" in imported_by("import seewhy, matplotlib")


EXPLAIN_IN_TORCH = """
import sys, torch, seewhy
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(144, 2))
classifier = seewhy.Classifier(model, preprocess=lambda pixels: pixels / 255, input_size=(8, 8))
seewhy.explain(classifier, sys.argv[1], targets="top-1").save(sys.argv[2])
"""


def test_an_explanation_imports_its_own_framework_and_nothing_else_heavy(tmp_path, examples):
    """Not matplotlib, as the overlay needs no figure; and no SymPy, which PyTorch imports to check a shape."""
    there = imported_by(EXPLAIN_IN_TORCH, examples / "cat.png", tmp_path / "cat.png")
    assert "torch" in there
    heavy = {"tensorflow", "keras", "jax", "scipy", "sympy", "IPython", "pandas", "rich", "matplotlib"}
    assert there & heavy == set()
    assert (tmp_path / "cat.png").exists()


def lint_imports(folder):
    """Check the import rules of a folder with a copy of the package; only files that changed are read again."""
    environment = {**os.environ, "PYTHONPATH": str(folder / "src")}
    command = [Path(sys.executable).parent / "lint-imports", "--cache-dir", folder / "cache"]
    command += ["--config", folder / "pyproject.toml"]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder, check=False)


@pytest.fixture(scope="session")
def copied_package(tmp_path_factory):
    """Return a folder with a copy of the package, whose import rules hold."""
    folder = tmp_path_factory.mktemp("package")
    shutil.copytree(SOURCE, folder / "src" / "seewhy", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(SOURCE.parent.parent / "pyproject.toml", folder)
    checked = lint_imports(folder)
    assert checked.returncode == 0, checked.stdout
    return folder


@pytest.mark.parametrize(
    ("file", "line", "broken"),
    [
        ("methods/gradcam.py", "import seewhy.explainer", "Rooms import only from below"),
        ("images/geometry.py", "import seewhy.targets", "Rooms import only from below"),
        ("explainer.py", "import tensorflow", "Only frameworks run a model"),
        ("models/classifier.py", "import seewhy.images.figure", "Explaining does not draw"),
        ("frameworks/jax/tap.py", "import seewhy.frameworks.torch.tap", "Backends do not import each other"),
        ("frameworks/keras/calls.py", "import seewhy.frameworks.jax.tap", "What Keras models share imports no backend"),
    ],
)
def test_the_import_rules_can_be_broken(copied_package, file, line, broken):
    """A copy of the package with one forbidden import more is refused, by the contract's name."""
    path = copied_package / "src" / "seewhy" / file
    source = path.read_text(encoding="utf-8")
    path.write_text(f"{source}\n{line}\n", encoding="utf-8")
    try:
        checked = lint_imports(copied_package)
    finally:
        path.write_text(source, encoding="utf-8")
    assert checked.returncode != 0
    assert broken in " ".join(checked.stdout.split())


def test_no_module_imports_itself_by_way_of_others():
    """Import circles, also those that only a type checker sees."""
    import grimp

    graph = grimp.build_graph("seewhy", exclude_type_checking_imports=False, cache_dir=None)
    circles = [
        (module, *graph.find_shortest_chain(imported, module))
        for module in graph.modules
        for imported in graph.find_modules_directly_imported_by(module)
        if graph.find_shortest_chain(imported, module)
    ]
    assert circles == []


def test_nothing_is_swallowed():
    """No `except:`, `except Exception` or `except BaseException` that neither raises again nor hands it to a future."""
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ExceptHandler):
                caught = "everything" if node.type is None else ast.unparse(node.type)
                if caught in ("everything", "Exception", "BaseException"):
                    last = ast.unparse(node.body[-1])
                    if path == PLUGINS:  # whose plug-ins fail in any way, and are named in a warning
                        assert "warn(" in ast.unparse(node)
                        continue
                    is_kept = isinstance(node.body[-1], ast.Raise) or last.endswith(".set_exception(error)")
                    assert is_kept, f"{path}:{node.lineno} catches {caught}"


def test_every_public_name_is_there():
    import seewhy

    for name in seewhy.__all__:
        assert getattr(seewhy, name) is not None
    assert (SOURCE / "py.typed").exists()
