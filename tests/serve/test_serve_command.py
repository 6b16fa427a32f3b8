"""`seewhy serve` in a separate process."""

import os
import re
import signal
import socket
import subprocess
import sys
import time

import httpx
import pytest
from tests.cli.test_many_images import NETS

from seewhy.cli import main
from seewhy.cli.app import app
from seewhy.errors import install_command


class Process:
    """A server started from the command line, or by a program of the test's."""

    def __init__(self, folder, *options, program=("-m", "seewhy", "serve", "--port", "0"), cwd=None):
        self.log = folder / "log"
        command = [sys.executable, *program, *options]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ, cwd=cwd)
        self.address = self.wait_for(r"SeeWhy is running at (http://\S+)")

    def wait_for(self, pattern):
        for _ in range(1200):
            if match := re.search(pattern, self.log.read_text()):
                return match[1]
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.1)
        raise AssertionError(f"no {pattern} in: {self.log.read_text()}")

    def end(self, number):
        self.process.send_signal(number)
        return self.process.wait(60)


@pytest.fixture
def started(tmp_path):
    processes = []

    def start(*options):
        processes.append(Process(tmp_path, *options, cwd=tmp_path))
        return processes[-1]

    yield start
    for server in processes:
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait()


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGINT,
        pytest.param(
            signal.SIGTERM,
            marks=pytest.mark.slow(reason="starts another server; the tests of slow models stop theirs with SIGTERM"),
        ),
    ],
)
def test_it_starts_responds_and_shuts_down(started, cat, number):
    server = started()
    assert server.address.startswith("http://127.0.0.1:")
    answer = httpx.post(f"{server.address}api/explain", files={"image": cat}, timeout=60).json()
    assert answer["predictions"][0]["name"] == "tiger cat"
    with pytest.raises(httpx.ReadTimeout):  # a client that disconnects is not an error
        httpx.post(f"{server.address}api/explain", files={"image": cat}, data={"methods": "rise"}, timeout=1)
    assert server.end(number) == 0
    log = server.log.read_text()
    assert "Traceback" not in log
    assert log.splitlines()[0] == "Loading efficientnet-lite0"
    assert len(log.splitlines()) == 2  # requests are not logged


def test_several_models_are_served(started, cat, tmp_path):
    (tmp_path / "nets.py").write_text(NETS)
    server = started("--model", "nets:build", "--model", "nets:build")
    names = [model["name"] for model in httpx.get(f"{server.address}api/models").json()["models"]]
    assert names == ["nets:build", "nets:build-2"]
    for name in names:
        answer = httpx.post(f"{server.address}api/explain", files={"image": cat}, data={"model": name}, timeout=60)
        assert answer.json()["model"] == name
    assert server.end(signal.SIGTERM) == 0


@pytest.fixture
def error_output(monkeypatch, capfd):
    """Run the command in this process, which must fail with an exit code, and return its error output."""

    def error_output(*options, code=2):
        monkeypatch.setattr(sys, "argv", ["seewhy", "serve", *options])
        monkeypatch.setenv("COLUMNS", "200")
        with pytest.raises(SystemExit) as end:
            main()
        errors = capfd.readouterr().err
        assert end.value.code == code
        assert "Traceback" not in errors
        return " ".join(errors.split())

    return error_output


def test_a_port_in_use_is_refused():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "seewhy", "serve", "--port", str(port)]
        finished = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert finished.returncode == 2
    assert "Traceback" not in finished.stderr
    message = " ".join(finished.stderr.split())
    assert f"Cannot listen on 127.0.0.1 port {port}: Address already in use. Choose another address with" in message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--host", "203.0.113.7", "--port", "0"), "Cannot listen on 203.0.113.7 port 0: "),
        (("--host", "no.such.name.invalid"), "Cannot listen on no.such.name.invalid port 8000: "),
        (("--port", "70000"), "less than or equal to 65535"),
        (("--slots", "0"), "slots is 0; expected a number greater than 0"),
        (("--max-mb", "-1"), "max_bytes is -1000000; expected a number greater than 0"),
        (("--time-limit", "nan"), "time_limit is nan; expected a number greater than 0"),
        (("--model", "efficientnet-lite", "--port", "0"), "Did you mean 'efficientnet-lite0'"),
        (("--model", "sys:exit", "--port", "0"), "'sys' is a module of Python itself"),
        (("--model", "builtins:breakpoint", "--port", "0"), "'builtins' is a module of Python itself"),
        (("--model", "/dev/zero", "--port", "0"), "Cannot load /dev/zero; expected a model saved by Keras"),
    ],
)
def test_invalid_options_are_refused(error_output, options, message):
    assert message in error_output(*options)


@pytest.mark.parametrize(
    ("content", "message", "code"),
    [
        ('{"version": 1, "preprocessing": {"std": 1%s}}' % ("0" * 400), "the field 'preprocessing.std' is 1000", 2),
        (None, "Too many levels of symbolic links", 1),
    ],
    ids=["a number of 400 digits", "a link to itself"],
)
def test_a_model_with_such_a_sidecar_is_not_served(error_output, keras_lite0, tmp_path, content, message, code):
    path = keras_lite0.save(tmp_path / "model.keras").with_suffix(".json")
    path.unlink()
    if content is None:
        path.symlink_to("model.json")
    else:
        path.write_text(content)
    assert message in error_output("--model", str(tmp_path), "--port", "0", code=code)


def test_without_the_extra_the_command_says_how_to_install_it():
    code = (
        "import sys; sys.modules['fastapi'] = None; sys.argv = ['seewhy', 'serve']\nfrom seewhy.cli import main; main()"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert finished.returncode == 2
    assert finished.stderr == (
        f"Error: For the web page, fastapi is not installed. Install it with: {install_command('web')}\n"
    )


def test_the_command_is_registered():
    assert "serve" in {command.name or command.callback.__name__ for command in app.registered_commands}
