"""What every request passes: whether it may come from where it comes, and what browsers may do with the answer."""

import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from seewhy.serve.failures import RefusedError, answer_of

POLICY = "; ".join(
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
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

SAFE = ("GET", "HEAD", "OPTIONS")
"""What changes nothing, and which a page of another origin cannot read either."""


class Guards:
    """Refuses requests under a foreign name or from a foreign page, and puts the security headers on every answer.

    A page of another site can make a browser ask this machine. Where it sends its request from, the browser says in
    `Origin`. Where its own name was made to lead here (DNS rebinding), `Host` still says that name; an address in
    digits cannot be made to lead elsewhere.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self._app = app
        self._hosts = {"localhost", *hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let the app answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        refusal = self._refusal(scope["method"], Headers(scope=scope))
        answer = self._app if refusal is None else answer_of(refusal)
        await answer(scope, receive, send_guarded)

    def _refusal(self, method: str, headers: Headers) -> RefusedError | None:
        host = headers.get("host", "")
        if not self._is_own(host):
            return RefusedError(
                421,
                "foreign_host",
                f"This server does not go by the name {host!r}. Call it by localhost or by its address; or start it "
                "with --allow-host and the name.",
            )
        if method not in SAFE and not _is_same_origin(headers, host):
            return RefusedError(
                403, "foreign_origin", "The request comes from a page of another site, and is not carried out."
            )
        return None

    def _is_own(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname
        except ValueError:
            return False
        return name is not None and (name in self._hosts or _is_address(name))


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_same_origin(headers: Headers, host: str) -> bool:
    """Whether a request comes from our own page, or from no page at all."""
    if headers.get("sec-fetch-site") in ("cross-site", "same-site"):
        return False
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == host
