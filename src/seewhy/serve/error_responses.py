"""Error responses: an HTTP status, and the error as JSON."""

from collections.abc import Mapping, Sequence
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
    errors.ImageTooLargeError: (413, "image_too_large"),
    errors.ImageFormatError: (415, "not_an_image"),
    errors.ImageError: (422, "unreadable_image"),
    errors.ModelError: (404, "unknown_model"),
    errors.LayerError: (422, "invalid_layer"),
    errors.NotPredictedError: (422, "not_predicted"),
    errors.TargetError: (422, "invalid_target"),
    errors.MethodError: (422, "invalid_method"),
    errors.UsageError: (422, "invalid_option"),
    errors.ModelRunError: (500, "model_failed"),
    SeewhyError: (500, "internal_error"),
}
"""The status and the code of each error class; a class that is not listed has those of its nearest ancestor."""

FIELD_MESSAGES = {"extra_forbidden": "There is no such field; see openapi.json for the fields"}
"""Messages that replace Pydantic's, by the type of the error."""


class RequestError(Exception):
    """A request that is refused, with the error response to send.

    Args:
        status: The HTTP status.
        code: A code for programs.
        message: What was given, what was expected, and what to do.
        headers: Additional response headers.
    """

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.headers = status, code, dict(headers or {})


def to_request_error(error: SeewhyError | ValidationError | RequestError) -> RequestError:
    """Give an error its HTTP status and its code."""
    if isinstance(error, RequestError):
        return error
    if isinstance(error, ValidationError):
        return RequestError(422, "invalid_field", _field_errors(error.errors()))
    status, code = next(STATUS[ancestor] for ancestor in type(error).__mro__ if ancestor in STATUS)
    return RequestError(status, code, str(error))


def error_content(error: RequestError) -> dict[str, object]:
    """Return the JSON content of an error response."""
    return {"error": {"code": error.code, "status": error.status, "message": str(error)}}


def error_response(error: RequestError) -> JSONResponse:
    """Return an error response."""
    return JSONResponse(error_content(error), error.status, error.headers)


def add_error_handlers(app: FastAPI) -> None:
    """Make an application send every error in the same form."""
    app.add_exception_handler(ClientDisconnect, _handle_disconnect)
    for error_class in (SeewhyError, ValidationError, RequestError):
        app.add_exception_handler(error_class, _handle_error)
    app.add_exception_handler(RequestValidationError, _handle_query_error)
    app.add_exception_handler(HTTPException, _handle_http_exception)
    app.add_exception_handler(Exception, _handle_unexpected)


async def _handle_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, (SeewhyError, ValidationError, RequestError))  # noqa: S101  # the classes it is added for
    return error_response(to_request_error(error))


async def _handle_query_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    return error_response(RequestError(422, "invalid_field", _field_errors(error.errors())))


async def _handle_http_exception(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101
    status = HTTPStatus(error.status_code)
    message = f"{status.phrase}: {request.method} {request.url.path}. See openapi.json for the API."
    return error_response(RequestError(status, status.name.lower(), message, error.headers))


async def _handle_unexpected(_: Request, error: Exception) -> JSONResponse:
    message = f"The server failed with {type(error).__name__}. See the server's log for details."
    return error_response(RequestError(500, "internal_error", message))


async def _handle_disconnect(_: Request, __: Exception) -> Response:
    return Response(status_code=400)  # the client is gone, so nobody reads it


def _field_errors(details: Sequence[Any]) -> str:
    """Return one sentence for each invalid field."""
    return " ".join(f"{detail['loc'][-1]}: {FIELD_MESSAGES.get(detail['type'], detail['msg'])}." for detail in details)
