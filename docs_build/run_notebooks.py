"""Run the notebooks of examples/notebooks from the first cell to the last, each in a temporary folder.

    python docs_build/run_notebooks.py [NOTEBOOK ...]

A cell that raises an error, or a code cell that shows neither text nor an image where it ends in an expression, fails.
The notebooks are committed without outputs, and are not changed.
"""

import ast
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

FOLDER = Path(__file__).resolve().parent.parent / "examples" / "notebooks"
SECONDS = 300
"""The longest that a cell may take."""


def main(arguments: list[str]) -> int:
    """Run notebooks, and return the number of those that failed."""
    paths = [Path(argument) for argument in arguments] or sorted(FOLDER.glob("*.ipynb"))
    return sum(not run(path) for path in paths)


def run(path: Path) -> bool:
    """Run one notebook; print what is wrong with it, and return whether nothing is."""
    notebook = nbformat.read(path, as_version=4)
    if any(cell.get("outputs") for cell in notebook.cells):
        sys.stdout.write(f"{path.name} was committed with outputs\n")
        return False
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(notebook, timeout=SECONDS, resources={"metadata": {"path": folder}})
        try:
            client.execute()
        except CellExecutionError as error:
            sys.stdout.write(f"{path.name}: {error}\n")
            return False
    silent = [cell.source for cell in notebook.cells if _shows(cell) and not cell.outputs]
    for source in silent:
        sys.stdout.write(f"{path.name} shows nothing below\n{source}\n")
    cells = sum(cell.cell_type == "code" for cell in notebook.cells)
    sys.stdout.write(f"{path.name}: {cells} cells ran\n")
    return not silent


def _shows(cell: nbformat.NotebookNode) -> bool:
    """Whether a cell ends in an expression, which a notebook shows."""
    if cell.cell_type != "code" or "%pip" in cell.source:
        return False
    return isinstance(ast.parse(cell.source).body[-1], ast.Expr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
