"""docs/howto/serve.md describes the API correctly."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.browser import skip_without

from seewhy.serve.error_responses import STATUS
from seewhy.serve.openapi_errors import openapi_errors
from seewhy.serve.schemas import ExplainFields

PAGE = (Path(__file__).parents[2] / "docs" / "howto" / "serve.md").read_text("utf-8")
COMMANDS = re.findall(r"^curl .*$", PAGE, re.MULTILINE)
DOCUMENTED_URL = "http://127.0.0.1:8000/"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_curl_command_works(command, address, examples, tmp_path):
    if shutil.which("curl") is None:
        skip_without("curl")
    assert DOCUMENTED_URL in command
    command = command.replace(DOCUMENTED_URL, address).replace("@examples", f"@{examples}")
    finished = subprocess.run(["/bin/sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True)
    if "tabbi" in command:
        (expected,) = re.findall(r'^\{"error".*$', PAGE, re.MULTILINE)
        assert finished.stdout == expected
    elif "-o overlay.png" in command:
        assert (tmp_path / "overlay.png").read_bytes().startswith(b"\x89PNG")
    elif "-o report.html" in command:
        assert "tiger cat" in (tmp_path / "report.html").read_text("utf-8")
    else:
        assert "tiger cat" in json.dumps(json.loads(finished.stdout))


def test_the_python_code_works(address, capsys):
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    exec(compile(code.replace(DOCUMENTED_URL, address), "serve.md", "exec"), {})  # noqa: S102
    assert capsys.readouterr().out == "(1, 7, 7)\n"


def test_every_field_is_documented():
    for field in ExplainFields.model_fields:
        assert f"| `{field}` |" in PAGE


def test_every_status_and_code_is_documented():
    for status in openapi_errors(400, 404, 408, 413, 415, 422, 503, 504):
        assert f"| {status} |" in PAGE
    for _, code in STATUS.values():
        assert f"`{code}`" in PAGE
