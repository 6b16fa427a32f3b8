"""A real server with EfficientNet-Lite0, on a free port of this machine."""

import contextlib
import socket
import threading
import time

import httpx
import pytest
import uvicorn

from seewhy.serve.app import make_app
from seewhy.serve.served_models import serve_models
from seewhy.serve.server import bind_socket, url_of, uvicorn_config
from seewhy.serve.settings import Settings


@contextlib.contextmanager
def running(classifiers, settings, send_buffer=None):
    """Serve in a thread of this process, and yield the URL; the system holds `send_buffer` bytes for each client."""
    server_socket = bind_socket("127.0.0.1", 0)
    if send_buffer is not None:
        server_socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
    app = make_app(lambda progress: serve_models(classifiers, progress), settings)
    server = uvicorn.Server(uvicorn_config(app, settings))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [server_socket]})
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield url_of(server_socket)
    finally:
        server.should_exit = True
        thread.join(30)
        server_socket.close()
    assert not thread.is_alive()


@pytest.fixture(scope="session")
def address(lite0):
    """The URL of a server that all tests share."""
    with running([("efficientnet-lite0", lite0)], Settings(upload_time_limit=2)) as address:
        yield address


@pytest.fixture
def client(address):
    with httpx.Client(base_url=address, timeout=60) as client:
        yield client


@pytest.fixture(scope="session")
def cat(examples):
    return (examples / "cat.png").read_bytes()


@pytest.fixture
def explain(client, cat):
    """Request an explanation of the cat, or of another file."""

    def explain(content=cat, name="cat.png", **fields):
        return client.post("api/explain", files={"image": (name, content)}, data=fields)

    return explain


def error_of(response):
    """Return (status, code, message) of an error response, and check its form."""
    error = response.json()["error"]
    assert error["status"] == response.status_code >= 400
    assert set(error) == {"code", "status", "message"}
    return response.status_code, error["code"], error["message"]
