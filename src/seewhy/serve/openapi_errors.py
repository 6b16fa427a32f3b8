"""The description of error responses in `openapi.json`."""

from typing import Any

from seewhy.serve import schemas

_ANY_ROUTE = (403, 421, 500)
_DESCRIPTIONS = {
    400: "The form cannot be parsed.",
    403: "The request comes from a page of another site.",
    404: "There is no such model.",
    408: "The upload took too long.",
    413: "The request or the image is too large.",
    415: "The body is not a form, or the file is not an image.",
    421: "The host name is not allowed.",
    422: "A field is invalid, or the image cannot be read.",
    500: "The server or the model failed.",
    503: "All slots are taken; Retry-After says when to try again.",
    504: "The time limit was exceeded.",
}


def openapi_errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the description of error responses with these statuses, and with those that any route may return."""
    return {
        status: {"model": schemas.ErrorResponse, "description": _DESCRIPTIONS[status]}
        for status in sorted({*_ANY_ROUTE, *statuses})
    }
