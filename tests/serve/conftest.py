"""A real server with EfficientNet-Lite0, on a free port of this machine."""

import contextlib
import threading
import time

import httpx
import pytest
import uvicorn

from seewhy.serve.app import make_app
from seewhy.serve.run import address_of, bind, config_of
from seewhy.serve.served_models import serve_models
from seewhy.serve.settings import Settings


@contextlib.contextmanager
def running(classifiers, settings):
    """Serve in a thread of this process; give the address."""
    taken = bind("127.0.0.1", 0)
    app = make_app(lambda progress: serve_models(classifiers, progress), settings)
    server = uvicorn.Server(config_of(app, settings))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [taken]})
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield address_of(taken)
    finally:
        server.should_exit = True
        thread.join(30)
        taken.close()
    assert not thread.is_alive()


@pytest.fixture(scope="session")
def address(lite0):
    """The address of a server that every test may share."""
    with running([("efficientnet-lite0", lite0)], Settings(upload_time=2)) as address:
        yield address


@pytest.fixture
def client(address):
    with httpx.Client(base_url=address, timeout=60) as client:
        yield client


@pytest.fixture(scope="session")
def cat(examples):
    return (examples / "cat.png").read_bytes()


@pytest.fixture
def ask(client, cat):
    """Ask for an explanation of the cat, or of another file."""

    def ask(content=cat, name="cat.png", **fields):
        return client.post("api/explain", files={"image": (name, content)}, data=fields)

    return ask


def refused(response):
    """Return (status, code, message) of a refusal, and see that it is one."""
    error = response.json()["error"]
    assert error["status"] == response.status_code >= 400
    assert set(error) == {"code", "status", "message"}
    return response.status_code, error["code"], error["message"]
