import ast
import inspect
from pathlib import Path

import pytest

import seewhy
from seewhy.cli.error_messages import WORDS, command_line_message
from seewhy.errors import LayerError


def test_every_replaced_phrase_is_one_that_messages_use():
    """A message that is reworded must not keep a row here that no longer applies."""
    sources = Path(inspect.getfile(seewhy)).parent.rglob("*.py")
    trees = [ast.parse(path.read_text("utf-8")) for path in sources if path.name != "error_messages.py"]
    texts = [
        node.value
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    assert [phrase for phrase in WORDS if not any(phrase in text for text in texts)] == []


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (
            "There is no layer 'a'. Explainer.layers lists them.",
            "There is no layer 'a'. 'seewhy layers MODEL' lists them.",
        ),
        ("layer='auto' found no layer", "--layer auto found no layer"),
        ("precision='bfloat16' is for models in float32", "--precision bfloat16 is for models in float32"),
    ],
)
def test_messages_name_options(message, shown):
    assert command_line_message(LayerError(message)) == shown


def test_what_only_python_makes_is_a_function_on_the_command_line():
    shown = command_line_message("Pass it to seewhy.Classifier(model).")
    assert shown.endswith("--model package.module:function calls a function that returns a Classifier.")


def test_an_unknown_layer_names_the_command(run, examples, tmp_path):
    code, _, err = run("explain", examples / "cat.png", "--layer", "top_activatoin", "--out", tmp_path)
    assert code == 2
    assert "'seewhy layers MODEL' lists" in err
    assert "Explainer.layers" not in err
