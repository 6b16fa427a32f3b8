"""docs/cli.md has the options of the commands, and the fields of their JSON."""

import json
import re
from pathlib import Path

import pytest
from typer.main import get_command

from seewhy.cli.app import app

PAGE = Path("docs/cli.md").read_text("utf-8")
SECTIONS = dict(re.findall(r"^## `seewhy (\w+)`\n(.*?)(?=^## )", PAGE, re.DOTALL | re.MULTILINE))
COMMANDS = get_command(app).commands


def long_options(command):
    return [name for option in COMMANDS[command].params for name in option.opts if name.startswith("--")]


def test_the_table_of_explain_has_each_of_its_options():
    rows = re.findall(r"^\| `(--[a-z-]+)`", SECTIONS["explain"], re.MULTILINE)
    assert sorted(rows) == sorted(set(long_options("explain")) - {"--help", "--log-level"})  # of every command


@pytest.mark.parametrize("command", sorted(set(SECTIONS) - {"explain"}))
def test_a_section_names_the_options_that_are_not_those_of_a_model(command):
    of_models = {*long_options("layers"), "--model"}
    missing = [name for name in long_options(command) if name not in of_models and f"`{name}`" not in SECTIONS[command]]
    assert missing == []


def test_every_command_with_json_is_in_its_table():
    with_json = [command for command in COMMANDS if command != "train" and "--json" in long_options(command)]
    documented = re.findall(r"`seewhy (\w+)[^`]* --json`", PAGE)
    assert sorted({*documented, "explain"}) == sorted(with_json)


def test_the_fields_of_a_doctor_s_findings_are_those_of_the_page(run):
    code, out, _ = run("doctor", "--json")
    assert code == 0
    content = json.loads(out)
    (row,) = [line for line in PAGE.splitlines() if line.startswith("| `seewhy doctor --json`")]
    assert list(content) == ["seewhy", "findings"]
    for name in (*content, *content["findings"][0], *{finding["group"] for finding in content["findings"]}):
        assert f"`{name}`" in row
    assert {type(finding["works"]) for finding in content["findings"]} == {bool}
