"""Which requests are accepted, and what browsers may do with the responses."""

import httpx
import pytest
from tests.serve.conftest import error_of, running

from seewhy.serve.security import SECURITY_HEADERS
from seewhy.serve.settings import Settings


@pytest.fixture(scope="module")
def named_server(lite0):
    """A server with an allowed host name."""
    with running([("lite0", lite0)], Settings(hosts=("photos.example",))) as address:
        yield address


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:8000", "localhost:8000", "[::1]:8000", "10.0.0.7", "LOCALHOST"]
)
def test_localhost_and_ip_addresses_are_always_allowed(client, host):
    assert client.get("healthz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "photos.example",
        "[::1",
        "",
        "a b",
        "x@localhost",
        "localhost/",
        "localhost?",
        "localhost:",
        "localhost:x",
        "localhost:123456",
        "localhost.",
        "127.1",
        "[::1]x",
        "localhost, localhost",
    ],
)
def test_other_host_names_are_refused(client, host):
    """A name that resolves to this machine, as in DNS rebinding."""
    status, code, message = error_of(client.get("api/models", headers={"Host": host}))
    assert (status, code) == (421, "host_not_allowed")
    assert "--allow-host" in message


@pytest.mark.parametrize(
    ("host", "status"), [("photos.example", 200), ("Photos.Example:443", 200), ("other.example", 421)]
)
def test_a_host_name_can_be_allowed(named_server, host, status):
    assert httpx.get(f"{named_server}healthz", headers={"Host": host}).status_code == status


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://[::1"},
        {"Origin": "https://127.0.0.1:8000", "Host": "127.0.0.1:8000"},
        {"Origin": "ftp://127.0.0.1:8000", "Host": "127.0.0.1:8000"},
        {"Origin": ""},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_pages_of_other_sites_cannot_send_requests(client, cat, headers):
    response = client.post("api/explain", files={"image": cat}, headers=headers)
    assert error_of(response)[:2] == (403, "cross_origin")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_our_own_page_can_send_requests_also_behind_a_tls_proxy(named_server, cat, scheme):
    headers = {"Host": "photos.example", "Origin": f"{scheme}://photos.example", "Sec-Fetch-Site": "same-origin"}
    response = httpx.post(f"{named_server}api/explain", files={"image": cat}, headers=headers, timeout=60)
    assert response.json()["predictions"][0]["index"] == 282


@pytest.mark.parametrize("path", ["", "api/models", "nothing", "viewer/viewer.js", "page/page.js", "openapi.json"])
def test_every_response_has_the_headers(client, path):
    headers = client.get(path).headers
    for name, value in SECURITY_HEADERS.items():
        assert headers[name] == value
    assert "server" not in headers
    assert "access-control-allow-origin" not in headers


def test_error_responses_have_them_too(client):
    headers = client.get("", headers={"Host": "evil.example"}).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"


def test_the_policy_allows_no_inline_script_or_style(client):
    policy = dict(
        directive.split(" ", 1) for directive in client.get("").headers["content-security-policy"].split("; ")
    )
    assert policy["default-src"] == policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert "unsafe" not in " ".join(policy.values())
