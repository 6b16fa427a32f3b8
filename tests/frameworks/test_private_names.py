"""Private names of a framework are used in one file per backend only (decision 0001)."""

import ast
import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

import seewhy

SOURCE = Path(seewhy.__file__).parent

PRIVATE_FILES = {
    "frameworks/torch/private_api.py": "PyTorch",
    "frameworks/keras/private_api.py": "Keras",
    "frameworks/tensorflow/private_api.py": "TensorFlow",
}
"""The files that may use private names, and the framework whose names they are. JAX has none."""

UNSTABLE_MODULES = ("jax.extend", "jax.experimental")
"""Public modules without a promise of compatibility."""

UNSTABLE_FILE = "frameworks/jax/trunk_and_head.py"

FRAMEWORKS = ("torch", "keras", "tensorflow", "jax", "jaxlib")

OWN = ("self", "cls")

PUBLIC = {"_asdict", "_replace", "_fields", "_make"}
"""The methods of a NamedTuple: documented, and spelled so to keep them apart from its fields."""


def is_private(name: str) -> bool:
    """Whether a name starts with one underscore; `__dict__` and `_` are not private."""
    return name.startswith("_") and not name.startswith("__") and name != "_" and name not in PUBLIC


def defined_names(tree: ast.AST) -> set[str]:
    """Return the private names that a file itself defines: functions, classes, methods, attributes of `self`."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in OWN:
            names.add(node.attr)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return names


def private_names(source: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the name of every private name that a file uses without defining it.

    These are attributes of anything but `self` and `cls`, imports of private modules and of private names of other
    packages than seewhy, and strings that spell such a name, as for `getattr` or in a table of attribute names.
    """
    tree = ast.parse(source)
    own = defined_names(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            is_own = isinstance(node.value, ast.Name) and node.value.id in OWN
            if not is_own and node.attr not in own:
                yield node.lineno, node.attr
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] != "seewhy":
            path = [*node.module.split("."), *(alias.name for alias in node.names)]
            yield from ((node.lineno, name) for name in path if is_private(name))
        elif isinstance(node, ast.Import):
            yield from (
                (node.lineno, part) for alias in node.names for part in alias.name.split(".") if is_private(part)
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and is_attribute_name(node.value):
            yield node.lineno, node.value


def is_attribute_name(text: str) -> bool:
    """Whether a string spells a private attribute or a private module, such as "_saved_min" or "torch._dynamo"."""
    parts = text.split(".")
    if not all(part.isidentifier() for part in parts):
        return False
    return any(map(is_private, parts)) and (len(parts) == 1 or parts[0] in FRAMEWORKS)


def uses(root: Path) -> dict[str, list[str]]:
    """Return the private names that the files below a folder use, by the file's path."""
    found = {
        str(path.relative_to(root)): [f"{line}: {name}" for line, name in private_names(path.read_text("utf-8"))]
        for path in sorted(root.rglob("*.py"))
    }
    return {path: names for path, names in found.items() if names}


def test_private_names_are_used_in_one_file_per_backend():
    in_frameworks = {f"frameworks/{path}": names for path, names in uses(SOURCE / "frameworks").items()}
    assert set(in_frameworks) == set(PRIVATE_FILES), in_frameworks


def unstable_imports(root: Path) -> set[str]:
    """Return the files below a folder that import from an unstable module."""
    files = set()
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom):
                modules = [node.module or ""]
            else:
                modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if any(module.startswith(UNSTABLE_MODULES) for module in modules):
                files.add(str(path.relative_to(root)))
    return files


def test_unstable_modules_are_imported_in_one_file():
    assert unstable_imports(SOURCE) == {UNSTABLE_FILE}


def test_an_unstable_import_is_noticed(tmp_path):
    (tmp_path / "from.py").write_text("from jax.extend.core import Jaxpr\n", "utf-8")
    (tmp_path / "plain.py").write_text("import jax.experimental.xla_metadata\n", "utf-8")
    (tmp_path / "other.py").write_text("import jax.numpy as jnp\n", "utf-8")
    assert unstable_imports(tmp_path) == {"from.py", "plain.py"}


def used_names(path: str) -> set[str]:
    """Return the private names that a file uses, with private modules such as "_C" counted as names."""
    source = (SOURCE / path).read_text("utf-8")
    return {part for _, name in private_names(source) for part in name.split(".") if is_private(part)}


@pytest.mark.parametrize("path", PRIVATE_FILES)
def test_the_file_lists_every_private_name_that_it_uses(path):
    """And the versions in which they are the same."""
    docstring = ast.get_docstring(ast.parse((SOURCE / path).read_text("utf-8")))
    assert not {name for name in used_names(path) if name not in docstring}
    assert re.search(r"the same in \w+ \d+\.\d+ to \d+\.\d+", docstring)


@pytest.mark.parametrize("path", PRIVATE_FILES)
def test_the_decision_counts_and_lists_them(path):
    decision = (Path(__file__).parents[2] / "docs" / "decisions" / "0001-tap.md").read_text("utf-8")
    names, framework = used_names(path), PRIVATE_FILES[path]
    row = next(line for line in decision.splitlines() if line.startswith(f"| {framework} |"))
    assert f"`{path}`" in row
    assert f"| {len(names)} |" in row
    assert set(re.findall(r"`(_\w+)`", row)) == names


@pytest.mark.parametrize("path", PRIVATE_FILES)
def test_the_extras_are_bounded_by_the_versions_in_which_the_names_were_tested(path):
    """From the first of these versions on, and below the next major version, which may change names."""
    root = Path(__file__).parents[2]
    decision = (root / "docs" / "decisions" / "0001-tap.md").read_text("utf-8")
    first, last = re.search(rf"\| {PRIVATE_FILES[path]} \| (\d+\.\d+) to (\d+\.\d+) \|", decision).groups()
    package = {"PyTorch": "torch", "Keras": "keras", "TensorFlow": "tensorflow"}[PRIVATE_FILES[path]]
    docstring = ast.get_docstring(ast.parse((SOURCE / path).read_text("utf-8")))
    assert f" {first} to {last}" in docstring
    extras = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    bounds = {each for extra in extras.values() for each in extra if re.match(rf"{package}\b[^_]", each)}
    assert bounds == {f"{package}>={first},<{int(first.split('.')[0]) + 1}"}
    installed = [int(part) for part in version(package).split(".")[:2]]
    assert installed <= [int(part) for part in last.split(".")], "test the private names in this version"


@pytest.mark.parametrize(
    "line",
    [
        "module._buffers",
        "getattr(node, '_saved_self', None)",
        "from torch.utils._pytree import tree_map",
        "from torch import _C",
        "import torch._dynamo",
        "import jax._src.core",
        "torch._C._len_torch_function_stack()",
        "layer._losses[:] = []",
        "sys.modules['torch._dynamo']",
        "BOUNDS = {'ClampBackward': '_saved_min'}",
    ],
)
def test_a_private_name_in_another_file_is_noticed(line, tmp_path):
    """The test of the test."""
    (tmp_path / "file.py").write_text(f"import sys\nimport torch\n{line}\n", "utf-8")
    assert list(uses(tmp_path)) == ["file.py"]


@pytest.mark.parametrize(
    "line",
    [
        "self._model",
        "cls._cache",
        "from seewhy.frameworks.jax import _private",
        "__name__",
        "row._replace(number=1)",
        "'_an ordinary sentence'",
        "class A:\n    def _own(self): return A._own",
        "for _, value in pairs: value",
    ],
)
def test_names_of_our_own_are_not_private_names_of_a_framework(line, tmp_path):
    (tmp_path / "file.py").write_text(f"{line}\n", "utf-8")
    assert uses(tmp_path) == {}
