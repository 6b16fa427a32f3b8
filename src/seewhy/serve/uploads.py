"""Uploads: the image and the fields of a form, which are kept in memory only."""

import asyncio
import re
import unicodedata
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import PurePosixPath

from fastapi import Request
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from seewhy.serve.error_responses import RequestError
from seewhy.serve.settings import Settings

MAX_FIELDS = 20
MAX_FIELD_BYTES = 10_000
MAX_NAME_LENGTH = 120

CHARSETS = ("utf-8", "utf8", "us-ascii", "ascii")
BOUNDARY = rb"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]"
DISCARD_FACTOR = 4
"""A body that is too large is read and discarded up to this multiple of the limit: most clients read the response only
after they have sent everything."""


@dataclass(frozen=True)
class Upload:
    """An uploaded form.

    Attributes:
        image: The bytes of the image file.
        name: The name of that file as it may be shown; it is never used as a path.
        fields: The other fields.
    """

    image: bytes
    name: str
    fields: dict[str, str]


class UploadBudget:
    """The memory for uploads that are being received.

    Args:
        max_bytes: Their maximum size together.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes, self._used = max_bytes, 0

    def take(self, size: int) -> None:
        """Use some of the memory.

        Raises:
            RequestError: There is not that much left.
        """
        if self._used + size > self._max_bytes:
            message = "Too many uploads are being received. Try again later."
            raise RequestError(503, "busy", message, {"Retry-After": "10"})
        self._used += size

    def give_back(self, size: int) -> None:
        """Stop using some of the memory."""
        self._used -= size


async def read_form(request: Request, settings: Settings, budget: UploadBudget) -> Upload:
    """Read a `multipart/form-data` body with the image as its file `image`.

    Raises:
        RequestError: The body is not such a form, is too large, or does not arrive in time.
    """
    headers = _checked_headers(request)
    body = _LimitedBody(request, settings.max_bytes, budget)
    parser = MultiPartParser(headers, body.chunks(), max_files=1, max_fields=MAX_FIELDS, max_part_size=MAX_FIELD_BYTES)
    parser.spool_max_size = settings.max_bytes + 1  # files above this size would be written to disk: there are none
    try:
        async with asyncio.timeout(settings.upload_time_limit):
            form = await parser.parse()
    except MultiPartException as error:
        raise RequestError(400, "malformed_form", f"The form cannot be parsed: {error.message}") from error
    except TimeoutError as error:
        seconds = f"{settings.upload_time_limit:g}"
        message = f"The upload was not complete after {seconds} seconds. Send a smaller image."
        raise RequestError(408, "upload_timeout", message) from error
    finally:
        budget.give_back(body.size)
    try:
        return await _to_upload(form)
    finally:
        await form.close()


def _checked_headers(request: Request) -> Headers:
    """Return the headers for the parser of the form, with the boundary as the only parameter of the media type.

    The parser would decode the fields with any codec of Python that a parameter `charset` names, compression included;
    browsers send UTF-8 and no such parameter.
    """
    media_type, parameters = parse_options_header(request.headers.get("content-type", ""))
    if media_type != b"multipart/form-data":
        given = media_type.decode("ascii", "replace") or "without a media type"
        message = f"The body is {given}; expected multipart/form-data with a file 'image'."
        raise RequestError(415, "not_multipart", message)
    charset = parameters.get(b"charset", b"utf-8").decode("ascii", "replace").lower()
    if charset not in CHARSETS:
        message = f"The form's charset is {charset!r}; expected utf-8, or no charset."
        raise RequestError(415, "unknown_charset", message)
    boundary = parameters.get(b"boundary", b"")
    if not re.fullmatch(BOUNDARY, boundary):
        raise RequestError(400, "malformed_form", "The form's boundary is missing or is not one that RFC 2046 allows.")
    return Headers({"content-type": f'multipart/form-data; boundary="{boundary.decode("ascii")}"'})


class _LimitedBody:
    """The body of a request, which is refused if it is too large.

    Attributes:
        size: The bytes of the budget that it uses.
    """

    def __init__(self, request: Request, limit: int, budget: UploadBudget) -> None:
        self._request, self._limit, self._budget = request, limit, budget
        self.size = 0

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield the body."""
        too_large = RequestError(
            413, "request_too_large", f"The request has more than {self._limit:,} bytes. Send a smaller image."
        )
        declared = self._request.headers.get("content-length", "")
        if re.fullmatch(r"[0-9]{1,18}", declared) and int(declared) > self._limit and "expect" in self._request.headers:
            raise too_large  # a client that sends Expect waits for the response before it sends the body
        received = 0
        async for chunk in self._request.stream():
            received += len(chunk)
            if received > DISCARD_FACTOR * self._limit:
                break
            if received <= self._limit:
                self._budget.take(len(chunk))
                self.size += len(chunk)
                yield chunk
        if received > self._limit:
            raise too_large


async def _to_upload(form: FormData) -> Upload:
    fields: dict[str, str] = {}
    image = None
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            if name != "image":
                raise RequestError(422, "invalid_field", f"The file's field is {name!r}; expected 'image'.")
            image = value
        elif name in fields:
            raise RequestError(
                422, "invalid_field", f"{name}: given more than once; expected one field, with commas between values."
            )
        else:
            fields[name] = value
    if image is None:
        raise RequestError(422, "missing_image", "There is no image; expected a file in the field 'image'.")
    return Upload(await image.read(), display_name(image.filename or ""), fields)


def display_name(name: str) -> str:
    """Return the name of an uploaded file as it may be shown: without folders and without invisible characters."""
    last = PurePosixPath(name.replace("\\", "/")).name
    visible = "".join(letter for letter in last if not unicodedata.category(letter).startswith("C")).strip()
    return visible[:MAX_NAME_LENGTH] or "image"
