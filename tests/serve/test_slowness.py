"""Models that take long, and clients that do not read: the server stops their jobs, and ends when it is told to."""

import contextlib
import io
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
from PIL import Image
from tests.serve.conftest import error_of, running, small_classifier
from tests.serve.test_serve_command import Process
from tests.serve.test_worker import post, slots_taken, wait_until

from seewhy.serve import server
from seewhy.serve.request import BATCH_SIZE
from seewhy.serve.settings import Settings

SECONDS_PER_IMAGE = 0.1


@pytest.fixture(scope="module")
def slow(cat):
    """A server with a slow model: its URL, the model, and its classifier."""
    classifier = small_classifier()
    with running([("slow", classifier)], Settings()) as address:
        assert httpx.post(f"{address}api/explain", files={"image": cat}).status_code == 200  # starts the decoder
        yield address, classifier.model, classifier


@pytest.mark.parametrize(
    ("method", "progress"),
    [
        ("smoothgradcam++", "false"),
        ("sscam", "false"),
        ("iscam", "false"),
        ("occlusion", "false"),
        ("rise", "false"),
        ("rise", "true"),  # the response differs, and not how its job is stopped
        ("smoothgrad", "false"),
        ("integrated_gradients", "false"),
    ],
)
def test_a_job_stops_within_a_few_images_when_its_client_disconnects(slow, cat, method, progress):
    """Of a method that runs the model on many images, in batches of four."""
    address, model, _ = slow
    model.batches, model.seconds = [], SECONDS_PER_IMAGE
    try:
        with contextlib.suppress(httpx.ReadTimeout), httpx.Client(timeout=httpx.Timeout(20, read=0.3)) as client:
            data = {"methods": method, "progress": progress}
            with client.stream("POST", f"{address}api/explain", files={"image": cat}, data=data):
                wait_until(lambda: sum(model.batches) > 2)
        before = sum(model.batches)
        wait_until(lambda: slots_taken(address) == 0)
        after = sum(model.batches)
    finally:
        model.seconds = 0.0
    assert max(model.batches) <= BATCH_SIZE
    assert after - before <= 4 * BATCH_SIZE  # it is asked for every 0.2 seconds, which are two images
    time.sleep(2 * SECONDS_PER_IMAGE)
    assert sum(model.batches) == after


PROGRAM = """
import sys
import seewhy.serve.server as server
from seewhy.cli import main
server.SHUTDOWN_GRACE, server.SHUTDOWN_LIMIT = {limits}
sys.argv = ["seewhy", "serve", "--port", "0", "--model", "endless:build"]
main()
"""

ENDLESS = """
import pathlib
import time
import torch
from seewhy import Classifier, Preprocessing

class Endless(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 3)

    def forward(self, images):
        if pathlib.Path("started").exists():  # not for the image that the server tries when it starts, and its variants
            print("explaining", flush=True)
            {work}
        return self.conv(images).mean(dim=(2, 3))

def build():
    return Classifier(Endless().eval(), preprocess=Preprocessing((16, 16), channels_first=True))
"""


def start(folder, work, limits):
    """Start a server with a model that does this work, and with these limits on a shutdown."""
    (folder / "endless.py").write_text(ENDLESS.replace("{work}", work))
    (folder / "main.py").write_text(PROGRAM.replace("{limits}", limits))
    process = Process(folder, program=["main.py"], cwd=folder)
    (folder / "started").touch()
    return process


def test_a_running_request_is_finished_at_shutdown(tmp_path, cat):
    started = start(tmp_path, "time.sleep(0.5)", "10, 14")
    try:
        with ThreadPoolExecutor(1) as clients:
            response = clients.submit(post, started.address, cat, progress="true")
            started.wait_for("(explaining)")
            assert started.end(signal.SIGTERM) == 0
            assert '"result"' in response.result().text.splitlines()[-1]
    finally:
        started.process.kill()


@pytest.mark.parametrize(
    ("work", "limit"),
    [
        pytest.param(
            *("time.sleep(100)", 1.0),
            marks=pytest.mark.slow(reason="starts another server; a model that computes is worse"),
        ),
        ("while True: pass", 1.0),
        ("for _ in range(20): time.sleep(0.05)", 14.0),
    ],
    ids=["waits", "computes", "ends in time"],
)
def test_the_server_ends_while_a_model_runs(tmp_path, cat, work, limit):
    """After the grace its client is told so; after the limit the process ends, in the middle of the model's call."""
    started = start(tmp_path, work, f"0.3, {limit}")
    try:
        with ThreadPoolExecutor(1) as clients:
            response = clients.submit(post, started.address, cat)
            started.wait_for("(explaining)")
            begin = time.monotonic()
            assert started.end(signal.SIGTERM) == 0
            assert time.monotonic() - begin < 10
            assert error_of(response.result())[:2] == (503, "shutting_down")
    finally:
        started.process.kill()
    assert "Traceback" not in started.log.read_text()


def test_the_limits_of_a_shutdown_fit_into_what_is_promised():
    assert 0 < server.SHUTDOWN_GRACE < server.SHUTDOWN_LIMIT <= 14  # of 15: the process ends in another second
    assert server.uvicorn_config(None, Settings()).timeout_graceful_shutdown == server.SHUTDOWN_GRACE


def test_a_signal_before_the_server_listens_is_not_lost():
    """It starts, and ends at once."""
    code = (
        "import os, signal\n"
        "from seewhy.serve.server import *\n"
        "async def app(scope, receive, send):\n"
        "    while (await receive())['type'] != 'lifespan.shutdown':\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "        await send({'type': 'lifespan.startup.complete'})\n"
        "    await send({'type': 'lifespan.shutdown.complete'})\n"
        "run = uvicorn.Server.run\n"
        "uvicorn.Server.run = lambda *values, **names: (os.kill(os.getpid(), signal.SIGTERM), run(*values, **names))\n"
        "serve(app, bind_socket('127.0.0.1', 0), Settings(), lambda: None)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.fixture(scope="module")
def noise():
    """A photo whose overlay is much larger than what the system holds for a client."""
    file = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, "JPEG", quality=50)
    return file.getvalue()


@contextlib.contextmanager
def client_with_a_small_buffer(address):
    url = httpx.URL(address)
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(20)
        connection.connect((url.host, url.port))
        yield connection


def request_png(address, image):
    """Return the bytes of a request for the overlay as a PNG."""
    form = httpx.Request("POST", f"{address}api/explain", files={"image": image}, data={"format": "png"})
    form.read()
    head = [f"POST {form.url.path} HTTP/1.1", *(f"{name}: {value}" for name, value in form.headers.items())]
    return "\r\n".join([*head, "", ""]).encode() + form.content


def read_response(connection, pause=0.0):
    """Return the declared length of the body, and how much of it arrives."""
    content = b""
    with contextlib.suppress(ConnectionResetError):
        while b"\r\n\r\n" not in content:
            content += connection.recv(4096)
        head, _, body = content.partition(b"\r\n\r\n")
        declared = int(dict(line.split(b": ", 1) for line in head.lower().splitlines()[1:])[b"content-length"])
        received = len(body)
        while received < declared and (part := connection.recv(65536)):
            received += len(part)
            time.sleep(pause)
    return declared, received


def test_clients_that_never_read_are_disconnected_and_hold_no_place(slow, noise, cat):
    settings = Settings(slots=2, send_time_limit=1)
    with running([("slow", slow[2])], settings, send_buffer=10_000) as address, contextlib.ExitStack() as stack:
        deaf = [stack.enter_context(client_with_a_small_buffer(address)) for _ in range(2)]
        for connection in deaf:
            connection.sendall(request_png(address, noise))
            wait_until(lambda: slots_taken(address) == 0)
        assert post(address, cat).status_code == 200
        time.sleep(settings.send_time_limit + 1)
        for connection in deaf:
            declared, received = read_response(connection)
            assert declared > 200_000
            assert received < declared


def test_a_client_that_reads_slowly_gets_everything(slow, noise):
    """The time counts from when nothing more can be sent; in the end, all has arrived."""
    with running([("slow", slow[2])], Settings(send_time_limit=20), send_buffer=10_000) as address:
        with client_with_a_small_buffer(address) as connection:
            connection.sendall(request_png(address, noise))
            declared, received = read_response(connection, pause=0.0005)
        assert declared == received > 200_000


def test_requests_after_one_that_was_not_read_wait_for_it(slow):
    """A client that sends request after request and reads nothing is closed too, and fills no memory."""
    with running([("slow", slow[2])], Settings(send_time_limit=0.5), send_buffer=10_000) as address:
        with client_with_a_small_buffer(address) as connection:
            request = f"GET /report.html HTTP/1.1\r\nHost: {httpx.URL(address).netloc.decode()}\r\n\r\n".encode()
            with contextlib.suppress(ConnectionError):
                for _ in range(200):
                    connection.sendall(request)
                    time.sleep(0.01)
            received = 0
            with contextlib.suppress(ConnectionError):
                while part := connection.recv(65536):
                    received += len(part)
        assert received < 100 * len(httpx.get(f"{address}report.html").content)
        assert threading.active_count() < 60
