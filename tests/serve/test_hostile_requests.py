"""Malicious and mistaken requests: each gets an error response, and the server goes on."""

import http.client
import io
import re
import socket
import struct
import tempfile
import time
import zlib

import httpx
import numpy as np
import pytest
from PIL import Image
from tests.serve.conftest import error_of, running, small_classifier

from seewhy.serve.settings import Settings
from seewhy.serve.uploads import display_name

SVG = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"


@pytest.fixture(autouse=True)
def server_lives(client):
    """After every test here the server still responds, and all slots are free."""
    yield
    assert client.get("healthz").json()["slots_taken"] == 0


def png_claiming(width, height):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def image(kind="PNG", size=(8, 6), **options):
    file = io.BytesIO()
    Image.new("RGB", size, "teal").save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "status", "code", "message"),
    [
        (b"", 422, "unreadable_image", r"is empty \(0 bytes\)"),
        (b"plain text", 415, "not_an_image", "not an image in a format SeeWhy reads"),
        (SVG, 415, "not_an_image", "not an image"),
        (b"%PDF-1.7\n%%EOF", 415, "not_an_image", "not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n", 415, "not_an_image", "not an image"),
        (b"GIF89a=1;alert(1);//", 415, "not_an_image", "not an image|damaged|cannot be read"),
        (image(size=(64, 64))[:100], 422, "unreadable_image", "damaged|cannot be read"),
        (png_claiming(30_000, 30_000), 413, "image_too_large", "the limit is 50,000,000"),
        (png_claiming(10_000, 5_001), 413, "image_too_large", r"\(10000 x 5001\); the limit is 50,000,000"),
        (png_claiming(100, 100), 422, "unreadable_image", "damaged|cannot be read"),
    ],
    ids=["0 bytes", "text", "svg", "pdf", "eps", "gif+js", "truncated", "bomb", "too large", "wrong size"],
)
def test_invalid_images_are_refused(explain, content, status, code, message):
    error = error_of(explain(content, "sent.png"))
    assert error[:2] == (status, code)
    assert error[2].startswith("sent.png ")
    assert re.search(message, error[2])


def test_of_a_polyglot_image_only_the_pixels_are_used(explain):
    """A PNG with HTML appended: the response contains the pixels, and nothing of the HTML."""
    response = explain(image() + b"<script>alert(1)</script>", "both.png", format="html")
    assert response.status_code == 200
    assert "alert(1)" not in response.text
    assert explain(image() + b"<script>alert(1)</script>", "both.html").json()["image"]["width"] == 8


def test_the_image_format_is_detected_from_the_content(client):
    files = {"image": ("a.svg", image("JPEG"), "image/svg+xml")}
    assert client.post("api/explain", files=files).json()["image"]["height"] == 6


def test_25_megabytes(explain, cat):
    error = error_of(explain(cat + bytes(25_000_000)))
    assert error == (413, "request_too_large", "The request has more than 20,000,000 bytes. Send a smaller image.")


def test_25_megabytes_with_expect_100_continue(address):
    """As curl sends it: the response comes before the body."""
    connection = http.client.HTTPConnection(httpx.URL(address).netloc.decode(), timeout=10)
    connection.putrequest("POST", "/api/explain")
    for name, value in {
        "Content-Type": "multipart/form-data; boundary=b",
        "Content-Length": "25000000",
        "Expect": "100-continue",
    }.items():
        connection.putheader(name, value)
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\cat.png", "cat.png"),
        ("/", "image"),
        ("", "image"),
        ("..", ".."),
        ("<img src=x onerror=alert(1)>.png", "<img src=x onerror=alert(1)>.png"),
        ("a\u202egnp.exe", "agnp.exe"),
        ("new\nline\0.png", "newline.png"),
        ("x" * 500, "x" * 120),
        ("猫.png", "猫.png"),
    ],
)
def test_file_names_are_made_displayable(name, shown):
    assert display_name(name) == shown


def test_a_file_name_with_a_path_or_a_tag_is_text(explain):
    assert explain(name="../../etc/passwd").json()["image"]["name"] == "passwd"
    name = "<img src=x onerror=alert(1)>.png"
    response = explain(name=name)
    assert response.headers["content-type"] == "application/json"
    assert response.json()["image"]["name"] == name
    report = explain(name=name, format="html").text
    assert "<img src=x" not in report
    assert "&lt;img src=x onerror=alert(1)&gt;" in report


def test_a_class_name_with_a_tag_is_text(cat):
    hostile = [f"</script><img src=x onerror=alert({index})>" for index in range(10)]
    with running([("<b>model</b>", small_classifier(class_names=hostile))], Settings()) as address:
        response = httpx.post(f"{address}api/explain", files={"image": cat}, data={"format": "html"}, timeout=60)
        (model,) = httpx.get(f"{address}api/models").json()["models"]
    assert "<img src=x" not in response.text
    assert response.text.count("</script>") == response.text.count("<script")
    assert model["name"] == "b"


def post_form(client, content, kind="multipart/form-data; boundary=b"):
    return client.post("api/explain", content=content, headers={"Content-Type": kind})


PART = b'--b\r\nContent-Disposition: form-data; name="%s"; filename="a.png"\r\n\r\n%s\r\n'


@pytest.mark.parametrize(
    ("kind", "content", "status", "code"),
    [
        ("application/json", b"{}", 415, "not_multipart"),
        ("application/x-www-form-urlencoded", b"image=1", 415, "not_multipart"),
        ("", b"", 415, "not_multipart"),
        ("multipart/form-data", b"", 400, "malformed_form"),
        ("multipart/form-data; boundary=b", b"nothing like it", 400, "malformed_form"),
        (
            "multipart/form-data; boundary=b",
            b"--b\r\nContent-Disposition: form-data\r\n\r\n\r\n--b--",
            400,
            "malformed_form",
        ),
        ("multipart/form-data; boundary=b", b"--b--\r\n", 422, "missing_image"),
        ("multipart/form-data; boundary=b", PART % (b"photo", b"1") + b"--b--", 422, "invalid_field"),
        ("multipart/form-data; boundary=b", PART % (b"image", b"1") * 2 + b"--b--", 400, "malformed_form"),
    ],
)
def test_malformed_forms_are_refused(client, kind, content, status, code):
    assert error_of(post_form(client, content, kind))[:2] == (status, code)


def test_an_image_field_without_a_file_is_refused(client):
    content = b'--b\r\nContent-Disposition: form-data; name="image"\r\n\r\ntext\r\n--b--\r\n'
    assert error_of(post_form(client, content))[:2] == (422, "missing_image")


def test_a_slow_upload_is_refused(address):
    """The form never ends: after this server's limit of 2 seconds it is refused, and the slot is free."""
    host, port = httpx.URL(address).host, httpx.URL(address).port
    start = time.monotonic()
    with socket.create_connection((host, port), timeout=10) as connection:
        head = f"POST /api/explain HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: 1000\r\n"
        connection.sendall(head.encode() + b"Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n")
        assert b"408" in connection.recv(1000).split(b"\r\n")[0]
    assert 1.5 < time.monotonic() - start < 8


def test_a_client_that_disconnects_frees_its_slot(address, client):
    host, port = httpx.URL(address).host, httpx.URL(address).port
    with socket.create_connection((host, port), timeout=10) as connection:
        head = f"POST /api/explain HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: 1000\r\n"
        connection.sendall(head.encode() + b"Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n")
    for _ in range(50):
        if client.get("healthz").json()["slots_taken"] == 0:
            return
        time.sleep(0.1)
    pytest.fail("the slot is still taken")


def test_nothing_is_written_to_disk(explain, monkeypatch):
    """Neither by the form parser, which by default spools more than a megabyte to a file, nor after it."""

    def refuse(*_, **__):
        raise AssertionError("a file was created")

    large = image(size=(1200, 1000), compress_level=0)
    assert len(large) > 3_000_000
    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "rollover", refuse)
    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    monkeypatch.setattr(tempfile, "NamedTemporaryFile", refuse)
    assert explain(large).json()["image"]["width"] == 1200


def test_a_large_image_is_scaled_down_but_not_its_box(explain):
    pixels = np.random.default_rng(0).integers(0, 256, (300, 3000, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG")
    (shown,) = explain(file.getvalue(), format="viewer").json()["viewer_data"]["images"]
    assert (shown["width"], shown["height"]) == (3000, 300)
    top, left, bottom, right = shown["explanations"][0]["box"]
    assert (bottom - top) == pytest.approx(right - left)
    assert len(shown["photo"]) < 2_000_000
