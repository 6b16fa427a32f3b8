"""What is answered when a request cannot be: a status, and what was wrong as JSON."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from seewhy import errors
from seewhy.errors import SeewhyError

STATUS: dict[type[SeewhyError], tuple[int, str]] = {
    errors.ImageTooLargeError: (413, "too_many_pixels"),
    errors.ImageFormatError: (415, "not_a_image"),
    errors.ImageError: (422, "unreadable_image"),
    errors.ModelError: (404, "unknown_model"),
    errors.LayerError: (422, "layer"),
    errors.TargetError: (422, "target"),
    errors.MethodError: (422, "method"),
    errors.UsageError: (422, "option"),
    errors.ModelRunError: (500, "model_failed"),
    SeewhyError: (500, "failed"),
}
"""What each error is in HTTP, and what it is called; of one that is not here, its nearest ancestor says."""

SAID = {"extra_forbidden": "There is no such field; openapi.json lists them"}
"""What is said better than Pydantic does."""


class RefusedError(Exception):
    """A request that is not carried out.

    Args:
        status: The status of the answer.
        code: One word for programs.
        message: What was given, what was expected, and what to do.
        headers: More headers of the answer.
    """

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.headers = status, code, dict(headers or {})


def refusal_of(error: SeewhyError | ValidationError | RefusedError) -> RefusedError:
    """Say an error in HTTP."""
    if isinstance(error, RefusedError):
        return error
    if isinstance(error, ValidationError):
        return RefusedError(422, "field", _fields(error.errors()))
    status, code = next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
    return RefusedError(status, code, str(error))


def body_of(refusal: RefusedError) -> dict[str, Any]:
    """Return the JSON of a refusal."""
    return {"error": {"code": refusal.code, "status": refusal.status, "message": str(refusal)}}


def answer_of(refusal: RefusedError) -> JSONResponse:
    """Return the answer of a refusal."""
    return JSONResponse(body_of(refusal), refusal.status, refusal.headers)


def answer_failures(app: FastAPI) -> None:
    """Let an app answer every failure in the one form."""

    async def refuse(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, (SeewhyError, ValidationError, RefusedError))  # noqa: S101  # what it is added for
        return answer_of(refusal_of(error))

    async def refuse_query(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)  # noqa: S101
        return answer_of(RefusedError(422, "field", _fields(error.errors())))

    async def refuse_route(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)  # noqa: S101
        status = HTTPStatus(error.status_code)
        message = f"{status.phrase}: {request.method} {request.url.path}. The API is described at openapi.json."
        return answer_of(RefusedError(status, status.name.lower(), message, error.headers))

    async def fail(_: Request, error: Exception) -> JSONResponse:
        message = f"The server failed ({type(error).__name__}). What happened is in its log."
        return answer_of(RefusedError(500, "failed", message))

    async def leave(_: Request, __: Exception) -> Response:
        return Response(status_code=400)  # which nobody reads

    app.add_exception_handler(ClientDisconnect, leave)
    for kind in (SeewhyError, ValidationError, RefusedError):
        app.add_exception_handler(kind, refuse)
    app.add_exception_handler(RequestValidationError, refuse_query)
    app.add_exception_handler(HTTPException, refuse_route)
    app.add_exception_handler(Exception, fail)


def _fields(found: Any) -> str:
    """Say what is wrong with each field."""
    return " ".join(f"{each['loc'][-1]}: {SAID.get(each['type'], each['msg'])}." for each in found)
