"""Uploads: the image and the fields of a form, which are kept in memory only."""

import asyncio
import unicodedata
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import PurePosixPath

from fastapi import Request
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from seewhy.serve.error_responses import RequestError
from seewhy.serve.settings import Settings

MAX_FIELDS = 20
MAX_FIELD_BYTES = 10_000
MAX_NAME_LENGTH = 120
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


async def read_form(request: Request, settings: Settings) -> Upload:
    """Read a `multipart/form-data` body with the image as its file `image`.

    Raises:
        RequestError: The body is not such a form, is too large, or does not arrive in time.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "multipart/form-data":
        raise RequestError(
            415,
            "not_multipart",
            f"The body is {media_type or 'without a media type'}; expected multipart/form-data with a file 'image'.",
        )
    body = _limited_body(request, settings.max_bytes)
    parser = MultiPartParser(request.headers, body, max_files=1, max_fields=MAX_FIELDS, max_part_size=MAX_FIELD_BYTES)
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
    try:
        return await _to_upload(form)
    finally:
        await form.close()


async def _limited_body(request: Request, limit: int) -> AsyncGenerator[bytes, None]:
    """Yield the body, and refuse it if it is too large."""
    too_large = RequestError(
        413, "request_too_large", f"The request has more than {limit:,} bytes. Send a smaller image."
    )
    declared = request.headers.get("content-length", "")
    size = 0
    if declared.isdecimal() and int(declared) > limit and "expect" in request.headers:
        raise too_large  # a client that sends Expect waits for the response before it sends the body
    async for chunk in request.stream():
        size += len(chunk)
        if size > DISCARD_FACTOR * limit:
            break
        if size <= limit:
            yield chunk
    if size > limit:
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
