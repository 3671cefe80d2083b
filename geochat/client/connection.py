"""Requests to a server's HTTP API, its event streams, and its errors as errors of this project."""

import json
import os
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from geochat import errors
from geochat.errors import EngineError, GeoChatError, SettingsError

SERVER, TOKEN = "GEOCHAT_SERVER", "GEOCHAT_API_TOKEN"
"""Environment variables: the address of a server, and its API token."""

_API = "api/v1/"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_MAX_EVENT = 64 * 2**20  # characters
_CONNECT_S = 10.0

Event = tuple[str, dict[str, Any]]
"""Name and data of an event."""


class Connection:
    """A connection to a server.

    Args:
        url: Address of its page, such as http://127.0.0.1:7860; None takes `GEOCHAT_SERVER`. May hold name and
            password of a login.
        token: API token; None takes `GEOCHAT_API_TOKEN`.
        timeout: Seconds of silence after which a request is aborted.

    Raises:
        SettingsError: There is no address, or it, the token or the timeout is impossible.
    """

    def __init__(self, url: str | None, token: str | None, timeout: float) -> None:
        given = _address(url or os.environ.get(SERVER, ""))
        address = given.copy_with(userinfo=b"")  # httpx logs the address of each request
        self.where = str(address)
        token = (os.environ.get(TOKEN, "") if token is None else token).strip()
        if not (token.isascii() and token.isprintable()):
            raise SettingsError("the API token holds characters that no header takes; copy it again")
        if not timeout > 0:
            raise SettingsError(f"timeout={timeout} is impossible; give a number of seconds above 0")
        self._http = httpx.Client(
            base_url=address.join(_API),
            auth=(given.username, given.password) if given.userinfo else None,
            headers={"authorization": f"Bearer {token}"} if token else {},
            timeout=httpx.Timeout(timeout, connect=min(_CONNECT_S, timeout), pool=None),
            trust_env=address.host not in _LOOPBACK,  # no proxy leads to this machine
        )

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def call(self, method: str, path: str, **options: Any) -> Any:  # noqa: ANN401 - decoded JSON
        """Return the JSON value of a response.

        Raises:
            GeoChatError: The server cannot be reached, or refuses.
        """
        with self.opened(method, path, **options) as response:
            return self._json(response.read())

    @contextmanager
    def opened(self, method: str, path: str, **options: Any) -> Iterator[httpx.Response]:  # noqa: ANN401 - as httpx
        """Send a request; the context yields the response, its body unread.

        Raises:
            GeoChatError: As `call`.
        """
        try:
            with self._http.stream(method, path, **options) as response:
                if not response.is_success:
                    raise self._refusal(response)
                yield response
        except httpx.TimeoutException as error:
            raise EngineError(f"{self.where} has not answered in time; try again, or allow more seconds") from error
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise EngineError(
                f"{self.where} cannot be reached ({error or type(error).__name__}); check the address, and that"
                " geochat serve runs there"
            ) from error

    def events(self, method: str, path: str, **options: Any) -> Generator[Event, None, None]:  # noqa: ANN401
        """Yield the events of a stream; closing the iterator closes the connection, which cancels the work.

        Raises:
            GeoChatError: As `call`, or the stream says so or breaks off.
        """
        with self.opened(method, path, headers={"accept": "text/event-stream"}, **options) as response:
            name, data = "", ""
            for line in response.iter_lines():
                field, _, value = line.partition(": ")
                if field == "event":
                    name = value
                elif field == "data":
                    data += value
                elif not line and name:
                    values = self._json(data)
                    if name == "error":
                        raise self._stated(values, int(values.get("status", 500)))
                    yield name, values
                    name, data = "", ""
                if len(data) > _MAX_EVENT:
                    raise EngineError(f"{self.where} sends an event without end")

    def _json(self, text: str | bytes) -> Any:  # noqa: ANN401
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise EngineError(f"{self.where} does not answer as a GeoChat server; check the address") from error

    def _refusal(self, response: httpx.Response) -> GeoChatError:
        content = response.read()
        if "problem+json" in response.headers.get("content-type", ""):
            return self._stated(self._json(content), response.status_code)
        if response.is_redirect:
            return EngineError(f"{self.where} leads to {response.headers.get('location')}; give that address")
        if response.status_code == 404:
            return EngineError(f"{self.where} has no GeoChat API; check the address and the server's version")
        shown = " ".join(content.decode("utf-8", "replace").split())[:200]
        return EngineError(f"{self.where} answers {response.status_code}: {shown or response.reason_phrase}")

    def _stated(self, values: Mapping[str, Any], status: int) -> GeoChatError:
        """Return the error that problem details describe, of the class that the server states."""
        detail = str(values.get("detail") or values.get("title") or status)
        if status in (401, 403):
            return SettingsError(f"{self.where} refuses: {detail.rstrip('.')}; an API token goes into {TOKEN}")
        kind = getattr(errors, str(values.get("error")), None)
        if isinstance(kind, type) and issubclass(kind, GeoChatError):
            return kind(detail)
        return EngineError(f"{self.where} answers {status}: {detail}")


def _address(url: str) -> httpx.URL:
    """Return the URL of a page, with a slash at its end."""
    if not url:
        raise SettingsError(f"there is no server; give its address, such as http://127.0.0.1:7860, or set {SERVER}")
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        shown = url.rpartition("@")[2].partition("?")[0]  # neither user nor password
        raise SettingsError(f"{shown!r} is no address ({error}); give one as http://127.0.0.1:7860") from error
    if parsed.scheme not in ("http", "https") or not parsed.host or parsed.query or parsed.fragment:
        shown = parsed.host or url.rpartition("@")[2]
        raise SettingsError(f"the address of {shown!r} is no http address; give http://127.0.0.1:7860")
    return parsed.copy_with(path=f"{parsed.path.rstrip('/')}/")
