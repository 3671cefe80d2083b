"""MCP tools: Gradio's MCP server, restricted to images sent as data URLs.

Gradio's server writes data URLs to a folder named by their content, which all clients share and nobody empties, and
asks for URLs, which this server refuses. Here a data URL becomes an upload like any other.
"""

import base64
import re
from collections.abc import Mapping
from typing import Any

from gradio_client import Client

from geochat_serve.storage import UploadStorage

_BASE64 = re.compile(r"data:[^,]*;base64,(.+)", re.DOTALL)
_DATA_URL = "The image as a data URL, such as data:image/png;base64,..."


def set_up_mcp(server: Any, storage: UploadStorage, url: str, headers: Mapping[str, str]) -> None:  # noqa: ANN401
    """Set up Gradio's MCP server.

    Args:
        server: Gradio's `GradioMCPServer`.
        storage: Storage of the images.
        url: Address of this server, whose API the tools call.
        headers: Headers by which this server recognises its own requests.
    """
    simplify, describe, upload_hint = (
        server.simplify_filedata_schema,
        server.get_fn_description,
        server._file_data_tool_description,
    )

    def simplified_schema(schema: dict[str, Any]) -> tuple[dict[str, Any], list[list[str | int]]]:
        simplified, positions = simplify(schema)
        for name in _names(positions):
            simplified["properties"][name] = {"type": "string", "description": _DATA_URL}
        return simplified, positions

    def description(*args: Any, **options: Any) -> tuple[str, dict[str, str]]:  # noqa: ANN401 - Gradio's own signature
        text, parameters = describe(*args, **options)
        return text.replace(upload_hint, ""), parameters

    def store_files(arguments: dict[str, Any], positions: list[list[str | int]]) -> dict[str, Any]:
        names = _names(positions)
        return {name: _store(value, storage) if name in names else value for name, value in arguments.items()}

    server.simplify_filedata_schema = simplified_schema
    server.get_fn_description = description
    server.convert_strings_to_filedata = store_files
    server._client_instance = Client(
        url,
        headers={"x-gradio-user": "mcp", **headers},
        download_files=False,
        verbose=False,
        analytics_enabled=False,
        ssl_verify=False,
    )


def _names(positions: list[list[str | int]]) -> set[str | int]:
    """Return the names of the parameters that are files."""
    return {position[0] for position in positions}


def _store(value: object, storage: UploadStorage) -> str:
    """Store a data URL as an upload and return its public name.

    Raises:
        ValueError: The value is not a data URL.
        StorageFullError: The upload does not fit.
    """
    found = _BASE64.fullmatch(value) if isinstance(value, str) else None
    try:
        data = base64.b64decode(found[1] if found else "=", validate=True)
    except ValueError as error:
        raise ValueError("the image is not a data URL; send data:image/png;base64,...") from error
    return storage.store("image", data, "mcp")
