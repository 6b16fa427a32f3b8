"""Security middleware: which requests are accepted, and what browsers may do with the responses."""

import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from seewhy.serve.error_responses import RequestError, error_response

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)

SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
"""They change nothing, and pages of other origins cannot read their responses."""


class SecurityMiddleware:
    """Refuses requests for unknown hosts and from other origins, and adds security headers to every response.

    Any web page can make the browser send requests to this machine. The browser names the page's origin in `Origin`. If
    the attacker's host name resolves to this machine (DNS rebinding), the origin is the same, but `Host` contains that
    name. IP addresses are always accepted as hosts, since no DNS entry can redirect them.

    Args:
        app: The application to protect.
        hosts: The accepted host names, in lower case, besides localhost and IP addresses.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self._app = app
        self._hosts = {"localhost", *hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request, or pass it to the application."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        error = self._check(scope["method"], Headers(scope=scope))
        app = self._app if error is None else error_response(error)
        await app(scope, receive, send_with_headers)

    def _check(self, method: str, headers: Headers) -> RequestError | None:
        host = headers.get("host", "")
        if not self._is_allowed(host):
            return RequestError(
                421,
                "host_not_allowed",
                f"The host name {host!r} is not allowed. Use localhost or the server's IP address, or start the server "
                "with --allow-host and this name.",
            )
        if method not in SAFE_METHODS and not _is_same_origin(headers, host):
            return RequestError(
                403, "cross_origin", "The request comes from a page of another site. Send it from SeeWhy's own page."
            )
        return None

    def _is_allowed(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname
        except ValueError:
            return False
        return name is not None and (name in self._hosts or _is_ip_address(name))


def _is_ip_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_same_origin(headers: Headers, host: str) -> bool:
    """Return whether a request comes from SeeWhy's own page, or not from a page at all."""
    if headers.get("sec-fetch-site") in ("cross-site", "same-site"):
        return False
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == host
