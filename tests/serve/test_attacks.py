"""Attacks on a running server, which goes on responding to others; each is bounded in time, memory and slots."""

import contextlib
import copy
import io
import json
import resource
import socket
import threading
import time
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.images.hostile_images import chunk, jpeg_bomb, png, png_line
from tests.serve.conftest import error_of, running, small_classifier
from tests.serve.test_worker import post, slots_taken, wait_until

from seewhy.serve.settings import Settings

FUZZ = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@contextlib.contextmanager
def connected(address):
    url = httpx.URL(address)
    with socket.create_connection((url.host, url.port), timeout=20) as connection:
        yield connection


def upload_head(address, length=1000):
    host = httpx.URL(address).netloc.decode()
    head = f"POST /api/explain HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n"
    return head.encode() + b"Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n"


@pytest.mark.parametrize(
    "bomb", [jpeg_bomb(4000), png_line(50_000_000), png_line(10_000_000)], ids=["scans", "line", "short line"]
)
def test_image_bombs_are_refused_while_others_are_served(address, cat, bomb):
    with ThreadPoolExecutor(12) as clients:
        bombs = [clients.submit(post, address, bomb) for _ in range(10)]
        honest = [clients.submit(post, address, cat) for _ in range(2)]
        assert [error_of(response.result())[:2] for response in bombs] == [(413, "image_too_large")] * 10
        assert [response.result().status_code for response in honest] == [200, 200]


def zip_bomb():
    """A zip file that would fill a gigabyte: 10 copies of 100 MB."""
    file, zeros = io.BytesIO(), bytes(2**20)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open("0", "w") as entry:
            for _ in range(100):
                entry.write(zeros)
        for number in range(1, 10):
            copied = copy.copy(archive.getinfo("0"))
            copied.filename = str(number)
            archive.filelist.append(copied)
    return file.getvalue()


def png_with_text(kind):
    """A PNG of one pixel, whose compressed text or colour profile has 100 MB."""
    compressor = zlib.compressobj(9)
    text = b"".join(compressor.compress(bytes(2**20)) for _ in range(100)) + compressor.flush()
    return png(1, 1, zlib.compress(bytes(4)), chunk(kind, b"bomb\0\0" + text))


def gif_of_frames(count):
    """A GIF whose frame is repeated: only the first is decoded."""
    file = io.BytesIO()
    Image.new("P", (1000, 1000)).save(file, "GIF")
    content = file.getvalue()
    frame = content[content.index(b"\x2c\0\0\0\0") : -1]
    return content[:-1] + frame * count + b";"


def test_compressed_bombs_take_no_memory_while_others_are_served(address, cat):
    bombs = {
        "zip": (zip_bomb(), {415}),
        "an empty zip": (b"PK\5\6" + bytes(18), {415}),
        "compressed text": (png_with_text(b"zTXt"), {413, 422}),
        "colour profile": (png_with_text(b"iCCP"), {200, 413, 422}),
        "frames": (gif_of_frames(500), {200}),
    }
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with ThreadPoolExecutor(6) as clients:
        responses = {name: clients.submit(post, address, content) for name, (content, _) in bombs.items()}
        honest = clients.submit(post, address, cat)
        found = {name: response.result().status_code for name, response in responses.items()}
        assert honest.result().status_code == 200
    assert [name for name, (_, expected) in bombs.items() if found[name] not in expected] == []
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # kilobytes


def test_class_names_with_halves_of_characters_are_shown(cat):
    classifier = small_classifier(class_names=[f"a\ud800{number}" for number in range(4)])
    with running([("small", classifier)], Settings()) as address:
        for form in ("json", "viewer", "html", "png"):
            assert post(address, cat, format=form).status_code == 200
        predictions = post(address, cat, targets="a\\ud8003").json()["predictions"]
        rows = httpx.get(f"{address}api/models/small/classes").json()["classes"]
    assert sorted(row["name"] for row in predictions) == [row["name"] for row in rows]
    assert rows[3]["name"] == "a\\ud8003"


@pytest.mark.parametrize(
    "name", [b"caf\xe9.png", b"\xff" * 200, b"a\xed\xa0\x80.png", b"=?utf-8?q?a?=", b"a\\b", b"x" * 5000]
)
def test_names_of_uploads_that_are_not_unicode_are_shown(client, cat, name):
    head = b'--b\r\nContent-Disposition: form-data; name="image"; filename="' + name + b'"\r\n\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    response = client.post("api/explain", content=head + cat + b"\r\n--b--\r\n", headers=headers)
    if response.status_code != 200:
        assert 400 <= error_of(response)[0] < 500
        return
    assert 0 < len(response.json()["image"]["name"]) <= 120


def test_an_image_that_takes_too_long_to_decode_is_ended_while_others_are_served(lite0, cat):
    """No limit on its structure refuses it; its decoder is killed and started again."""
    file = io.BytesIO()
    Image.fromarray(np.zeros((7000, 7000, 3), np.uint8)).save(file, "JPEG", progressive=True)
    with running([("lite0", lite0)], Settings(decode_time_limit=0.1)) as address, ThreadPoolExecutor(4) as clients:
        assert post(address, cat).status_code == 200
        slow = [clients.submit(post, address, file.getvalue()) for _ in range(4)]
        for response in slow:
            status, code, message = error_of(response.result())
            assert (status, code) == (413, "image_too_large")
            assert "takes longer than 0.1 s to decode" in message
        assert post(address, cat).json()["predictions"][0]["index"] == 282
        wait_until(lambda: slots_taken(address) == 0)


def test_slow_uploads_take_no_slots(lite0, cat):
    with running([("lite0", lite0)], Settings(slots=2)) as address, contextlib.ExitStack() as stack:
        for _ in range(16):
            stack.enter_context(connected(address)).sendall(upload_head(address))
        assert slots_taken(address) == 0
        assert post(address, cat).status_code == 200


def test_the_memory_of_all_uploads_is_bounded(lite0, cat):
    """Two slots of 1 MB: a third megabyte of uploads that are never finished is refused, and freed when they end."""
    with running([("lite0", lite0)], Settings(slots=2, max_bytes=1_000_000)) as address:
        part = b'Content-Disposition: form-data; name="image"; filename="a"\r\n\r\n' + bytes(900_000)
        with contextlib.ExitStack() as stack:
            for _ in range(2):
                stack.enter_context(connected(address)).sendall(upload_head(address, 950_000) + part)
            wait_until(lambda: post(address, cat + bytes(500_000)).status_code == 503)
            assert error_of(post(address, cat + bytes(500_000)))[1] == "busy"
        wait_until(lambda: post(address, cat).status_code == 200)


@pytest.mark.parametrize("before", [b"", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"], ids=["first", "second"])
def test_headers_that_dribble_time_out(lite0, before):
    with running([("lite0", lite0)], Settings(header_time_limit=1)) as address, connected(address) as connection:
        connection.sendall(before)
        if before:
            assert connection.recv(1000).startswith(b"HTTP/1.1 200")
        start = time.monotonic()
        received = b""
        connection.settimeout(0.1)
        connection.sendall(b"GET / HTTP/1.1\r\n")
        while time.monotonic() - start < 10 and b"408" not in received:
            with contextlib.suppress(TimeoutError):
                received += connection.recv(1000)
            with contextlib.suppress(OSError):
                connection.sendall(b"X: 1\r\n")
        assert b"HTTP/1.1 408 Request Timeout" in received
        assert 0.8 < time.monotonic() - start < 5


def test_a_connection_that_sends_nothing_is_closed(lite0):
    with running([("lite0", lite0)], Settings(header_time_limit=0.5)) as address, connected(address) as connection:
        assert b"408" in connection.recv(1000)
        assert connection.recv(1000) == b""


def test_the_deadline_for_headers_does_not_end_a_long_request(cat):
    slow = small_classifier(seconds=0.02)
    with running([("slow", slow)], Settings(header_time_limit=0.3)) as address:
        assert post(address, cat, methods="smoothgrad").status_code == 200


def test_a_method_that_is_not_possible_does_not_lose_the_others(cat):
    """KPCA-CAM takes at most 4096 positions."""
    with running([("large", small_classifier(side=66))], Settings()) as address:
        fields = {"methods": "gradcam,kpcacam", "layers": "conv,early"}
        answer = post(address, cat, **fields).json()
        assert [(row["method"], row["layer"]) for row in answer["explanations"]] == [
            ("gradcam", "conv"), ("gradcam", "early"), ("kpcacam", "conv"),
        ]  # fmt: skip
        (failure,) = answer["errors"]
        assert (failure["method"], failure["title"], failure["layer"]) == ("kpcacam", "KPCA-CAM", "early")
        assert (failure["error"]["status"], failure["error"]["code"]) == (422, "invalid_layer")
        assert "takes at most 4096" in failure["error"]["message"]
        assert post(address, cat, **fields, format="viewer").json()["errors"] == answer["errors"]
        assert "KPCA-CAM at " in post(address, cat, **fields, format="html").text
        for refused in ({**fields, "format": "png"}, {"methods": "kpcacam", "layers": "early"}):
            assert error_of(post(address, cat, **refused))[:2] == (422, "invalid_layer")
        assert post(address, cat).json()["errors"] == []


@pytest.mark.parametrize(
    "charset", ["hex", "zlib", "rot13", "undefined", "idna", "utf-16", "punycode", "x" * 3000, '"', ""]
)
def test_odd_charsets_are_refused_or_ignored(client, charset):
    kind = f"multipart/form-data; boundary=b; charset={charset}"
    part = b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\n\xff\xfe\r\n--b--\r\n'
    assert 400 <= error_of(client.post("api/explain", content=part, headers={"Content-Type": kind}))[0] < 500


@pytest.mark.parametrize("boundary", ["", '""', "x" * 71, "a\x7fb", "a\xe9", '"b "', "b;boundary=c", '"b'])
def test_odd_boundaries_are_refused(client, boundary):
    kind = f"multipart/form-data; boundary={boundary}".encode("latin-1")
    assert 400 <= error_of(client.post("api/explain", content=b"--b--", headers={"Content-Type": kind}))[0] < 500


def raw_response(address, request):
    """Return the status of the response to these bytes; None if the server closed the connection without one."""
    with connected(address) as connection, contextlib.suppress(ConnectionError):
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        head = connection.recv(100)
        return int(head.split(b" ")[1]) if head else None


HEADER_TEXT = st.text(st.characters(codec="latin-1", exclude_characters="\r\n\0"), max_size=60).map(str.strip)
HEADER_NAMES = [
    "Origin",
    "Host",
    "Content-Type",
    "Content-Length",
    "Sec-Fetch-Site",
    "Expect",
    "Transfer-Encoding",
    "Connection",
    "Upgrade",
    "X-Forwarded-Proto",
    "X-Forwarded-For",
    "Range",
    "If-Modified-Since",
]


@FUZZ
@given(
    method=st.sampled_from(["GET", "POST", "HEAD", "OPTIONS", "PUT", "BREW"]),
    path=st.sampled_from(["/", "/api/explain", "/api/models", "/healthz", "/page/page.js", "/report.html"]),
    headers=st.lists(st.tuples(st.sampled_from(HEADER_NAMES), HEADER_TEXT), max_size=4),
)
def test_no_headers_make_the_server_fail(address, method, path, headers):
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    if not any(name == "Host" for name, _ in headers):
        lines.insert(1, "Host: localhost")
    status = raw_response(address, "\r\n".join([*lines, "", ""]).encode("latin-1"))
    assert status is None or status < 500


@FUZZ
@given(
    path=st.text(max_size=80) | st.sampled_from(["page/%00", "page/" + "a" * 3000, "viewer/\ud800", "//", "page//etc"])
)
def test_no_path_makes_the_server_fail(client, path):
    quoted = "".join(f"%{byte:02x}" for byte in path.encode("utf-8", "surrogatepass"))
    for prefix in ("", "page/", "viewer/", "api/models/"):
        assert client.get(f"/{prefix}{quoted}").status_code < 500


FIELD_TEXT = st.text(max_size=40) | st.sampled_from(
    [
        "top-" + "9" * 5000,
        "9" * 5000,
        "-1",
        "top-0",
        "auto",
        "input",
        "a\0b",
        "gradcam#1",
        "auto#" + "9" * 5000,
        "²",
        "٣",
    ]
)


@FUZZ
@given(
    fields=st.dictionaries(
        st.sampled_from(["model", "targets", "methods", "layers", "score", "signed", "format", "progress"])
        | st.text(max_size=5),
        FIELD_TEXT,
        max_size=3,
    ),
    name=st.text(max_size=30),
)
def test_no_field_makes_the_server_fail(explain, fields, name):
    fields = {key: value for key, value in fields.items() if key.strip()}
    fields, name = json.loads(json.dumps([fields, name]).encode("utf-8", "replace"))
    response = explain(name=name, **{key: value.encode("utf-8", "replace") for key, value in fields.items()})
    assert response.status_code < 500


@FUZZ
@given(body=st.binary(max_size=300), kind=st.sampled_from(["b", "--", "'"]))
def test_no_body_makes_the_server_fail(client, body, kind):
    content = b"--" + kind.encode() + b"\r\nContent-Disposition: form-data; " + body
    response = client.post(
        "api/explain", content=content, headers={"Content-Type": f"multipart/form-data; boundary={kind}"}
    )
    assert 400 <= response.status_code < 500


def test_after_all_this_all_slots_and_threads_are_free(client):
    assert client.get("healthz").json()["slots_taken"] == 0
    assert threading.active_count() < 60
