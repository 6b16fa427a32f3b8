"""What `openapi.json` says of answers that say no."""

from typing import Any

from seewhy.serve import schemas

_EVERYWHERE = (403, 421, 500)
_FAILURES = {
    400: "The form cannot be read.",
    403: "The request comes from a page of another site.",
    404: "There is no such model.",
    408: "The request did not arrive in time.",
    413: "Too many bytes, or too many pixels.",
    415: "No form, or no image.",
    421: "The server does not go by this name.",
    422: "A field, or the image, is not what it should be.",
    500: "The server or the model failed.",
    503: "All places are taken; Retry-After says when to come again.",
    504: "It took longer than the time limit.",
}


def failures(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the description of these answers, and of those that any route may give."""
    listed = sorted({*_EVERYWHERE, *statuses})
    return {status: {"model": schemas.ErrorResponse, "description": _FAILURES[status]} for status in listed}
