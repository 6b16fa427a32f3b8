"""Security middleware: which requests are accepted, and what browsers may do with the responses."""

import asyncio
import ipaddress
import re
from collections.abc import Collection

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

HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?")
"""What a `Host` header in lower case may be, and no more: no user name, no path."""

MAX_SHOWN = 200
"""The number of characters of a header that an error message repeats."""

SHUTTING_DOWN = RequestError(503, "shutting_down", "The server is shutting down. Send the request again later.")


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

        is_started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal is_started
            is_started = True
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        error = self._check(scope["method"], scope["scheme"], Headers(scope=scope))
        app = self._app if error is None else error_response(error)
        try:
            await app(scope, receive, send_with_headers)
        except asyncio.CancelledError:  # the server shuts down, and this request has had its time to finish
            if is_started:
                raise
            await error_response(SHUTTING_DOWN)(scope, receive, send_with_headers)

    def _check(self, method: str, scheme: str, headers: Headers) -> RequestError | None:
        hosts = headers.getlist("host")
        host = hosts[0].lower() if len(hosts) == 1 else ""
        if not self._is_allowed(host):
            return RequestError(
                421,
                "host_not_allowed",
                f"The host name {', '.join(hosts)[:MAX_SHOWN]!r} is not allowed. Use localhost or the server's IP "
                "address, or start the server with --allow-host and this name.",
            )
        if method not in SAFE_METHODS and not self._is_same_origin(headers, scheme, host):
            return RequestError(
                403, "cross_origin", "The request comes from a page of another site. Send it from SeeWhy's own page."
            )
        return None

    def _is_allowed(self, host: str) -> bool:
        """Return whether a `Host` header is an accepted name or an IP address, with or without a port."""
        match = HOST.fullmatch(host)
        return match is not None and (_name(match) in self._hosts or _is_ip_address(_name(match)))

    def _is_same_origin(self, headers: Headers, scheme: str, host: str) -> bool:
        """Return whether a request comes from SeeWhy's own page, or not from a page at all.

        A page on an allowed host name may also have the scheme https: then a reverse proxy has ended its TLS.
        """
        if headers.get("sec-fetch-site") in ("cross-site", "same-site"):
            return False
        match = HOST.fullmatch(host)
        is_named = match is not None and _name(match) in self._hosts - {"localhost"}
        schemes = {scheme, "https"} if is_named else {scheme}
        return all(origin in {f"{scheme}://{host}" for scheme in schemes} for origin in headers.getlist("origin"))


def _name(match: re.Match[str]) -> str:
    return match["name"].strip("[]")


def _is_ip_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
