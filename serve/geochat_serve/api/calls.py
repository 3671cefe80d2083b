"""Calls: the fields and the image of a request, from a form or from JSON.

The image of a form is on disk already (`geochat_serve.middleware.bodies`); that of JSON is stored here. A name that a
client gives its image is shown and never opened.
"""

import asyncio
import base64
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError
from python_multipart.multipart import parse_options_header
from starlette.requests import Request

from geochat_serve.api.errors import CallError, invalid_fields
from geochat_serve.middleware.forms import UploadForm
from geochat_serve.middleware.http import FORM, scope_client
from geochat_serve.storage import UploadStorage
from geochat_serve.validation import clean

Fields = TypeVar("Fields", bound=BaseModel)

_DATA_URL = re.compile(r"data:[^,]{0,200};base64,")


@dataclass(frozen=True)
class Call(Generic[Fields]):
    """A call.

    Attributes:
        client: Login, token or address of the caller.
        fields: Its fields.
        path: The image, claimed; removed by `removed`.
        name: The client's name for the image.
        storage: Holds the image.
    """

    client: str
    fields: Fields
    path: Path
    name: str
    storage: UploadStorage

    def remove(self) -> None:
        """Delete the image. Idempotent."""
        self.storage.remove(self.path)

    @contextmanager
    def removed_on_error(self) -> Iterator[None]:
        """Delete the image if the context fails."""
        try:
            yield
        except BaseException:
            self.remove()
            raise


async def read_call(request: Request, fields: type[Fields], storage: UploadStorage) -> Call[Fields]:
    """Read a request.

    Args:
        request: The request, its body limited by the middleware.
        fields: Model of the fields.
        storage: Where the image of a JSON body goes.

    Raises:
        CallError: It is malformed.
        StorageFullError: The image does not fit.
    """
    client = scope_client(request.scope)
    form: UploadForm | None = request.scope.get(FORM)
    body = await request.body()
    if form is not None:
        read = _validated(fields, _form_values(form))
        (stored,) = form.paths
        return Call(client, read, storage.claim(storage.public_name(stored)), stored.name, storage)
    values = _json_values(request, body)
    image = values.pop("image", None)
    if not isinstance(image, str):
        raise CallError(400, "the image is missing; send it in base64 as the field image, or as a file of a form")
    read = _validated(fields, values)
    content = await asyncio.to_thread(_decoded, image)
    stored_as = await asyncio.to_thread(storage.store, "image", content, client)
    return Call(client, read, storage.claim(stored_as), "image", storage)


def _form_values(form: UploadForm) -> dict[str, Any]:
    """Return the fields of a form; a name that is repeated has a list."""
    values: dict[str, Any] = {}
    for name, content in form.fields:
        try:
            text = content.decode()
        except UnicodeDecodeError as error:
            raise CallError(400, f"the field {name!r} is not UTF-8") from error
        if name in values:
            earlier = values[name]
            values[name] = [*(earlier if isinstance(earlier, list) else [earlier]), text]
        else:
            values[name] = text
    return values


def _json_values(request: Request, body: bytes) -> dict[str, Any]:
    kind, _ = parse_options_header(request.headers.get("content-type"))
    if kind != b"application/json":
        shown = kind.decode("latin-1") or "nothing"
        raise CallError(415, f"the content type is {shown}; send multipart/form-data or application/json")
    try:
        values = json.loads(body)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise CallError(400, f"the body is not JSON: {reason}") from error
    if not isinstance(values, dict):
        raise CallError(400, "the body is not a JSON object")
    return values


def _validated(fields: type[Fields], values: dict[str, Any]) -> Fields:
    try:
        return fields.model_validate(values)
    except ValidationError as error:
        raise invalid_fields(error) from error
    except RecursionError as error:
        raise CallError(400, "a field is nested too deeply") from error


def _decoded(image: str) -> bytes:
    """Decode an image in base64, or a data URL.

    Raises:
        CallError: It is neither.
    """
    start = _DATA_URL.match(image)
    try:
        content = base64.b64decode(image[start.end() if start else 0 :], validate=True)
    except ValueError as error:
        shown = clean(image[:30])
        raise CallError(
            422, f"the image {shown!r} is not base64; send the file's bytes in base64, no path or URL"
        ) from error
    if not content:
        raise CallError(422, "the image is empty; send the file's bytes in base64")
    return content
