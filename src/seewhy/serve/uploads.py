"""What was sent: an image and fields, held in memory and nowhere else."""

import asyncio
import unicodedata
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import PurePosixPath

from fastapi import Request
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from seewhy.serve.failures import RefusedError
from seewhy.serve.settings import Settings

MAX_FIELDS = 20
MAX_FIELD_BYTES = 10_000
DRAINED = 4
"""So many times the limit is read and thrown away, for most programs hear no answer before they have sent all."""


@dataclass(frozen=True)
class Upload:
    """What was sent.

    Attributes:
        image: The bytes of the image's file.
        name: The name of that file, made fit to be shown; it is never used as a path.
        fields: The other fields.
    """

    image: bytes
    name: str
    fields: dict[str, str]


async def read_form(request: Request, settings: Settings) -> Upload:
    """Read a `multipart/form-data` body with the image as its file `image`.

    Raises:
        RefusedError: It is none, is too large, or does not arrive in time.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        raise RefusedError(
            415, "not_a_form", f"The body is {kind or 'of no type'}; expected multipart/form-data with a file 'image'."
        )
    body = _limited(request, settings.max_bytes)
    parser = MultiPartParser(request.headers, body, max_files=1, max_fields=MAX_FIELDS, max_part_size=MAX_FIELD_BYTES)
    parser.spool_max_size = settings.max_bytes + 1  # beyond this a file would go to the disk, and none gets there
    try:
        async with asyncio.timeout(settings.upload_time):
            form = await parser.parse()
    except MultiPartException as error:
        raise RefusedError(400, "bad_form", f"The form cannot be read: {error.message}") from error
    except TimeoutError as error:
        seconds = f"{settings.upload_time:g}"
        raise RefusedError(408, "slow_upload", f"The request did not arrive within {seconds} seconds.") from error
    try:
        return await _upload(form)
    finally:
        await form.close()


async def _limited(request: Request, limit: int) -> AsyncGenerator[bytes, None]:
    """Yield the body, and refuse it once it is too large."""
    refusal = RefusedError(413, "too_many_bytes", f"The request has more than {limit:,} bytes. Shrink the image.")
    declared = request.headers.get("content-length", "")
    size = 0
    if declared.isdecimal() and int(declared) > limit and "expect" in request.headers:
        raise refusal  # whoever sends Expect waits for the answer
    async for chunk in request.stream():
        size += len(chunk)
        if size > DRAINED * limit:
            break
        if size <= limit:
            yield chunk
    if size > limit:
        raise refusal


async def _upload(form: FormData) -> Upload:
    fields: dict[str, str] = {}
    image = None
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            if name != "image":
                raise RefusedError(422, "field", f"The file is called {name!r}; expected 'image'.")
            image = value
        elif name in fields:
            raise RefusedError(422, "field", f"{name}: given twice; expected once, with commas between several.")
        else:
            fields[name] = value
    if image is None:
        raise RefusedError(422, "no_image", "There is no image; expected a file in the field 'image'.")
    return Upload(await image.read(), shown_name(image.filename or ""), fields)


def shown_name(name: str) -> str:
    """Make a sent file's name fit to be shown: without its folders, and without characters that control or hide."""
    last = PurePosixPath(name.replace("\\", "/")).name
    visible = "".join(each for each in last if not unicodedata.category(each).startswith("C")).strip()
    return visible[:120] or "image"
