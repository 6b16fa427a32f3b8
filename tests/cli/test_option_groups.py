"""Options that commands share: defined once, and the same in each command that has them."""

from dataclasses import fields
from pathlib import Path

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

import seewhy
from seewhy.cli.app import app
from seewhy.cli.model_options import ModelArguments
from seewhy.cli.option_groups import LayerOptions, ModelOptions, with_options_of_groups
from seewhy.cli.options import JsonOption, ModelArgument

COMMANDS = get_command(app).commands
WITH_A_MODEL = ("explain", "inspect", "layers", "export", "serve", "errors", "site", "evaluate", "batch")
WITH_A_LAYER = ("explain", "inspect", "export", "site", "batch")


def options_of(command):
    return {option.name: option for option in COMMANDS[command].params}


@pytest.mark.parametrize(
    ("commands", "group"), [(WITH_A_MODEL, ModelOptions), (WITH_A_LAYER, LayerOptions)], ids=["model", "layer"]
)
def test_commands_have_the_options_of_a_group_with_its_defaults(commands, group):
    first = options_of(commands[0])
    for command in commands:
        options = options_of(command)
        for field in fields(group):
            option = options[field.name]
            assert (option.default, option.help) == (field.default, first[field.name].help)
        names = [name for name in options if name in {field.name for field in fields(group)}]
        assert names == [field.name for field in fields(group)]
    others = set(COMMANDS) - set(commands) - {"train"}
    last = fields(group)[-1].name  # --trust, and --tokens
    assert [command for command in others if last in options_of(command)] == []


def test_no_command_defines_an_option_of_a_group_again():
    for path in (Path(seewhy.__file__).parent / "cli").glob("*_command.py"):
        text = path.read_text("utf-8")
        assert not any(name in text for name in ("WeightsOption", "TrustOption", "TokensOption")), path.name


def test_what_is_given_for_a_group_arrives_in_it():
    """A command of its own, with a group between an argument and an option."""
    received = []

    def show(*, model: ModelArgument, options: ModelOptions, layers: LayerOptions, as_json: JsonOption = False) -> None:
        received.append((options.arguments(model), layers, as_json))

    own = typer.Typer()
    own.command()(with_options_of_groups(show))
    given = ["net.pt", "--weights", "none", "--prompt", "a dog", "--prompt", "a cat", "--trust", "--json"]
    finished = CliRunner().invoke(own, [*given, "--tokens", "4x6,prefix=5"])
    assert finished.exit_code == 0, finished.output
    ((arguments, layers, as_json),) = received
    assert arguments == ModelArguments("net.pt", weights="none", trust=True, prompts=("a dog", "a cat"))
    assert (layers.layer, layers.score.value, layers.grid()) == ("auto", "logit", seewhy.TokenGrid((4, 6), prefix=5))
    assert as_json
