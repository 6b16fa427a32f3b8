"""The names in `keras.applications`, without importing Keras, which takes seconds."""

import ast
from importlib.util import find_spec
from pathlib import Path


def architecture_names() -> list[str]:
    """Return the architectures of the installed Keras in lower case, such as "vgg16"; [] if they are unknown."""
    return [name.lower() for name in _public_names() if name[:1].isupper()]


def module_names() -> list[str]:
    """Return the modules of `keras.applications`, such as "mobilenet_v2"; [] if they are unknown."""
    return [name for name in _public_names() if name[:1].islower()]


def _public_names() -> list[str]:
    """Return what the file `keras/applications/__init__.py` imports."""
    keras = find_spec("keras")
    folders = [] if keras is None else keras.submodule_search_locations or []
    try:
        sources = [Path(folder, "applications", "__init__.py").read_text(encoding="utf-8") for folder in folders]
        imports = [node for source in sources for node in ast.parse(source).body if isinstance(node, ast.ImportFrom)]
    except (OSError, ValueError, SyntaxError):  # another layout: importing Keras will tell
        return []
    return [alias.name for node in imports for alias in node.names]
