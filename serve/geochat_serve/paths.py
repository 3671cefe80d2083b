"""Path and cookies of a request, as middleware looks at them."""

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import Scope

API = "/gradio_api"


def route(scope: Scope, root_path: str | None = None) -> str:
    """The path within the application, whether or not a proxy has taken its prefix off; without a slash at the end.

    Args:
        scope: The request.
        root_path: Where a proxy puts the application.
    """
    path: str = scope["path"]
    prefix = urlsplit(root_path).path.rstrip("/") if root_path else ""
    if prefix and (path == prefix or path.startswith(f"{prefix}/")):
        path = path[len(prefix) :]
    return path.rstrip("/") or "/"


def cookie(headers: Headers, name: str) -> str | None:
    """The value of a cookie."""
    for line in headers.getlist("cookie"):
        for part in line.split(";"):
            key, _, value = part.strip().partition("=")
            if key == name:
                return value
    return None
