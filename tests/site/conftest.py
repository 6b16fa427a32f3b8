"""Sites of a small model, on a static web server of this machine, opened in Chromium."""

import contextlib
import functools
import http.server
import os
import threading

import pytest
from tests.site.handmade_model import handmade_model

from seewhy.errors import OutputError
from seewhy.site.browser_runtime import check_runtime
from seewhy.site.site_folder import Samples, write_folder


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves files, and says nothing."""

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def serving(folder):
    """Serve a folder as `python -m http.server` does, and yield its URL."""
    handler = functools.partial(Handler, directory=folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=[0.02])
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(30)


@pytest.fixture(scope="session")
def browser_runtime():
    """Skip tests that need ONNX Runtime Web where it is not here; fail them in CI."""
    try:
        check_runtime()
    except OutputError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def site_folder(tmp_path_factory, browser_runtime):  # noqa: ARG001  # without it the test is skipped
    """The site of the handmade model."""
    return write_folder(handmade_model(), tmp_path_factory.mktemp("sites") / "site", Samples.of_seewhy())


@pytest.fixture(scope="session")
def site_url(site_folder):
    """The URL of the site, below that of its host."""
    with serving(site_folder.parent) as url:
        yield f"{url}{site_folder.name}/"


@pytest.fixture
def open_site(chromium):
    """Open a site without a network; at the end check that nothing was sent, and that the console is empty."""
    contexts, requests, problems, allowed = [], [], [], []

    def open_site(url, *, ready="html[data-ready]", expected=None, prepare=None, **options):
        """`expected` is part of messages that the console may have; `prepare` is called with the empty page."""
        context = chromium.new_context(**options)
        contexts.append(context)
        allowed.append(url)
        context.route(lambda address: not address.startswith(url), lambda route: route.abort())
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("request", lambda request: requests.append((request.method, request.url, request.post_data)))
        page.on("console", lambda message: record(message.text))
        page.on("pageerror", lambda error: record(str(error)))

        def record(problem):
            if expected is None or expected not in problem:
                problems.append(problem)

        if prepare is not None:
            prepare(page)
        page.goto(url)
        if ready is not None:
            page.wait_for_selector(ready)
        return page

    yield open_site
    for context in contexts:
        context.close()
    assert problems == []
    assert {(method, body) for method, _, body in requests} <= {("GET", None)}
    assert [url for _, url, _ in requests if not url.startswith((*allowed, "data:", "blob:"))] == []
