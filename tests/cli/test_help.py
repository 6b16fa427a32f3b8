"""`--help`, also on narrow terminals and in pipes."""

import os
import subprocess
import sys

import pytest

from seewhy.cli.app import app

COMMANDS = ([], ["explain"], ["inspect"], ["layers"], ["models"], ["methods"], ["serve"], ["errors"], ["train"],
            ["train", "digits"], ["train", "transfer"])  # fmt: skip


def help_text(capsys, command, width):
    with pytest.raises(SystemExit) as end:
        app([*command, "--help"], terminal_width=width, prog_name="seewhy")
    assert end.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("width", [40, 60, 100])
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_fits_the_terminal_and_is_plain(capsys, command, width):
    text = help_text(capsys, command, width)
    assert "<bool>" not in text
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
    assert "  --trust                       Let the model file" in wide


def test_help_in_a_pipe_does_not_depend_on_the_terminal():
    def piped(columns):
        command = [sys.executable, "-m", "seewhy", "layers", "--help"]
        finished = subprocess.run(
            command, capture_output=True, text=True, check=True, env={**os.environ, "COLUMNS": columns}
        )
        return finished.stdout

    assert piped("40") == piped("200")
