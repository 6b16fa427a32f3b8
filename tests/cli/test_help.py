"""`--help`, also on narrow terminals and in pipes."""

import os
import re
import subprocess
import sys

import pytest

from seewhy.cli.app import app

COMMANDS = ([], ["explain"], ["inspect"], ["layers"], ["export"], ["models"], ["methods"], ["serve"], ["site"],
            ["errors"], ["batch"], ["convert"], ["evaluate"], ["metrics"], ["doctor"],
            ["train"], ["train", "digits"], ["train", "transfer"])  # fmt: skip


def help_text(capsys, command, width):
    with pytest.raises(SystemExit) as end:
        app([*command, "--help"], terminal_width=width, prog_name="seewhy")
    assert end.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("width", [40, 60, 100])
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_fits_the_terminal_and_is_plain(capsys, command, width):
    text = help_text(capsys, command, width)
    assert re.search(r"<(bool|str|path|int|float|list)[> \[]|[{}]", text) is None
    assert text.isascii()
    assert "\x1b" not in text
    # A word such as "<bilinear|bicubic|nearest>" cannot be broken.
    too_long = [line for line in text.splitlines() if len(line) > width and " " in line.strip()[: width - 8].strip()]
    assert [line for line in too_long if not line.lstrip().startswith("--")] == []


def test_an_option_is_above_its_description_where_the_terminal_is_narrow(capsys):
    lines = help_text(capsys, ["layers"], 50).splitlines()
    position = lines.index("  --trust")
    assert lines[position + 1].startswith("        Let the model file")
    wide = help_text(capsys, ["layers"], 100)
    assert re.search("\n  --trust {10,}Let the model file", wide)


def test_help_in_a_pipe_is_as_wide_as_columns_asks_for():
    def widest(**environment):
        command = [sys.executable, "-m", "seewhy", "layers", "--help"]
        given = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
        finished = subprocess.run(command, capture_output=True, text=True, check=True, env={**given, **environment})
        return max(map(len, finished.stdout.splitlines()))

    assert 50 < widest(COLUMNS="60") <= 60
    assert 80 < widest() <= 100


def test_names_of_arguments_and_ranges(capsys):
    text = help_text(capsys, ["explain"], 100)
    assert "Usage: seewhy explain [OPTIONS] [IMAGE]...\n" in text
    assert "\n  IMAGE  Images;" in text
    assert "Usage: seewhy models [OPTIONS] [NAME]...\n" in help_text(capsys, ["models"], 100)
    assert re.search(r"--port PORT .*\[default: 8000; 0<=x<=65535\]", help_text(capsys, ["serve"], 100))
