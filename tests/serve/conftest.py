"""A real server with EfficientNet-Lite0, on a free port of this machine; and a small model for a test's own server."""

import contextlib
import socket
import threading
import time

import httpx
import pytest
import torch
import uvicorn

from seewhy import Classifier, Preprocessing
from seewhy.serve.app import make_app
from seewhy.serve.served_models import serve_models
from seewhy.serve.server import bind_socket, url_of, uvicorn_config
from seewhy.serve.settings import Settings


def running(classifiers, settings, send_buffer=None):
    """Serve models in a thread of this process, and yield the URL."""
    return running_app(make_app(lambda progress: serve_models(classifiers, progress), settings), settings, send_buffer)


@contextlib.contextmanager
def running_app(app, settings, send_buffer=None):
    """Serve in a thread of this process, and yield the URL; the system holds `send_buffer` bytes for each client."""
    server_socket = bind_socket("127.0.0.1", 0)
    if send_buffer is not None:
        server_socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
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


class SlowModel(torch.nn.Module):
    """Takes its time for each image, once it is told to, and counts the images."""

    def __init__(self, classes=10, seconds=0.0):
        super().__init__()
        self.early, self.conv = torch.nn.Conv2d(3, 4, 1), torch.nn.Conv2d(4, 4, 3, stride=4)
        self.dense = torch.nn.Linear(4, classes)
        self.batches, self.seconds = [], seconds

    def forward(self, images):
        self.batches.append(len(images))
        if self.seconds:
            time.sleep(self.seconds * len(images))
        return self.dense(torch.relu(self.conv(self.early(images))).mean(dim=(2, 3)))


def small_classifier(side=16, seconds=0.0, class_names=None):
    """Build a classifier of ten classes, or of those with names, that takes so many seconds for each image."""
    torch.manual_seed(0)
    model = SlowModel(10 if class_names is None else len(class_names), seconds).eval()
    preprocessing = Preprocessing((side, side), std=255.0, channels_first=True)
    return Classifier(model, preprocess=preprocessing, class_names=class_names)


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


@pytest.fixture
def open_page(chromium, address):
    """Open the page; at the end check that the console is empty, and that no other site was contacted."""
    contexts, own, messages, urls = [], [], [], []

    def open_page(path="", at=address, prepare=None, ready="html[data-ready]", **options):
        """`prepare` is called with the empty page; `ready` is what shows that the page can be used."""
        context = chromium.new_context(**options)
        contexts.append(context)
        own.append(at)
        page = context.new_page()
        page.on("console", lambda message: messages.append(message.text))
        page.on("pageerror", lambda error: messages.append(str(error)))
        page.on("request", lambda request: urls.append(request.url))
        if prepare is not None:
            prepare(page)
        page.goto(at + path)
        page.wait_for_selector(ready)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [message for message in messages if "Failed to load resource" not in message] == []
    assert [url for url in urls if not url.startswith((*own, "data:", "blob:"))] == []


def error_of(response):
    """Return (status, code, message) of an error response, and check its form."""
    error = response.json()["error"]
    assert error["status"] == response.status_code >= 400
    assert set(error) == {"code", "status", "message"}
    return response.status_code, error["code"], error["message"]
