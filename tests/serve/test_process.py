"""`seewhy serve` as a process of its own."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from seewhy.cli import app


class Process:
    """A server that was started from the command line."""

    def __init__(self, folder, *options):
        self.log = folder / "log"
        command = [sys.executable, "-m", "seewhy", "serve", "--port", "0", *options]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ)
        self.address = self.wait_for(r"SeeWhy is at (http://\S+)")

    def wait_for(self, pattern):
        for _ in range(1200):
            if found := re.search(pattern, self.log.read_text()):
                return found[1]
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.1)
        raise AssertionError(f"there was no {pattern} in: {self.log.read_text()}")

    def end(self, number):
        self.process.send_signal(number)
        return self.process.wait(60)


@pytest.fixture
def started(tmp_path):
    processes = []

    def start(*options):
        processes.append(Process(tmp_path, *options))
        return processes[-1]

    yield start
    for each in processes:
        if each.process.poll() is None:
            each.process.kill()
            each.process.wait()


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGINT,
        pytest.param(
            signal.SIGTERM, marks=pytest.mark.slow(reason="starts a server more; the two tests after it end theirs so")
        ),
    ],
)
def test_it_starts_answers_and_ends_in_good_order(started, cat, number):
    server = started()
    assert server.address.startswith("http://127.0.0.1:")
    answer = httpx.post(f"{server.address}api/explain", files={"image": cat}, timeout=60).json()
    assert answer["predictions"][0]["name"] == "tiger cat"
    with pytest.raises(httpx.ReadTimeout):  # whoever goes away is no failure
        httpx.post(f"{server.address}api/explain", files={"image": cat}, data={"methods": "rise"}, timeout=1)
    assert server.end(number) == 0
    log = server.log.read_text()
    assert "Traceback" not in log
    assert log.splitlines()[0] == "Loading efficientnet-lite0"
    assert len(log.splitlines()) == 2  # nothing of what was asked is written down


def test_who_is_being_answered_when_it_is_told_to_end_gets_the_answer(started, cat):
    server = started("--time-limit", "60")
    form = {"methods": "smoothgrad", "progress": "true"}
    with httpx.stream("POST", f"{server.address}api/explain", files={"image": cat}, data=form, timeout=60) as answer:
        lines = answer.iter_lines()
        assert "progress" in next(lines)
        server.process.send_signal(signal.SIGTERM)
        assert '"result"' in list(lines)[-1]
    assert server.process.wait(60) == 0


def test_several_models_each_by_a_name_of_its_own(started, cat, lite0, tmp_path):
    path = Path(tmp_path / "cats model.keras")
    lite0.save(path)
    server = started("--model", str(path), "--model", "efficientnet-lite0", "--model", "efficientnet-lite0")
    models = httpx.get(f"{server.address}api/models").json()["models"]
    assert [each["name"] for each in models] == ["cats-model", "efficientnet-lite0", "efficientnet-lite0-2"]
    answers = [
        httpx.post(
            f"{server.address}api/explain", files={"image": cat}, data={"model": each["name"]}, timeout=60
        ).json()
        for each in models
    ]
    assert [each["predictions"][0]["index"] for each in answers] == [282] * 3
    assert server.end(signal.SIGTERM) == 0


def refused(*options):
    """Run the command and return what it says when it does not start."""
    command = [sys.executable, "-m", "seewhy", "serve", *options]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert finished.returncode == 2
    assert "Traceback" not in finished.stderr
    return " ".join(finished.stderr.split())


def test_a_port_that_is_taken():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refused("--port", str(port))
    assert (
        f"Cannot listen on 127.0.0.1 port {port}: Address already in use. Give others with --host and --port." in said
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--host", "203.0.113.7", "--port", "0"), "Cannot listen on 203.0.113.7 port 0: "),
        (("--host", "no.such.name.invalid"), "Cannot listen on no.such.name.invalid port 8000: "),
        (("--port", "70000"), "less than or equal to 65535"),
        (("--slots", "0"), "slots is 0; expected more than 0"),
        (("--max-mb", "-1"), "max_bytes is -1000000; expected more than 0"),
        (("--time-limit", "nan"), "time_limit is nan; expected more than 0"),
        (("--model", "efficientnet-lite", "--port", "0"), "Did you mean 'efficientnet-lite0'"),
    ],
)
def test_what_cannot_be_served_is_said_and_nothing_else(options, said):
    assert said in refused(*options)


def test_without_the_extra_the_command_says_how_to_install_it():
    code = (
        "import sys; sys.modules['fastapi'] = None; sys.argv = ['seewhy', 'serve']\nfrom seewhy.cli import main; main()"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert finished.returncode == 2
    assert finished.stderr == (
        "Error: For the web page, fastapi is not installed. Install it with: pip install 'seewhy[web]'\n"
    )


def test_the_command_is_there():
    assert "serve" in {each.name or each.callback.__name__ for each in app.registered_commands}
