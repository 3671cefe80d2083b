"""Requests to one server: concurrency, retries, and translation of failures.

httpx is used, which gradio and huggingface-hub require anyway, and not the `openai` client. That client would add a
dependency for three calls, has its own retry rules, and hides the connection, which must be closed to cancel a request.
"""

import asyncio
import ipaddress
import json
import os
import random
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import count
from typing import Any, TypeVar

import httpx

from geochat.engines.openai.refusals import (
    BrokenOffError,
    NoSuchModelError,
    failure,
    message_of,
    refusal,
    stated_error,
)
from geochat.errors import EngineError, SettingsError

T = TypeVar("T")

_LARGEST = 64 << 20  # bytes of a reply, or of one event of a stream
_HIDDEN = "***"
_FAREWELL = 1.0  # seconds that a server has to end a response after its last event


@dataclass(frozen=True, slots=True)
class RemoteLimits:
    """Settings of requests to a server.

    Attributes:
        concurrency: Requests under way at the same time.
        timeout: Seconds of silence after which a request is aborted and sent again.
        attempts: Number of attempts before a failure is final.
        backoff: Seconds before the second attempt; they double with each, up to `longest_backoff`, and half of them is
            drawn at random. A server's Retry-After goes before.
        longest_backoff: Most seconds between two attempts.
        longest_wait: Most seconds of Retry-After that are waited; more is an error.

    Raises:
        SettingsError: A limit is impossible.
    """

    concurrency: int = 16
    timeout: float = 300.0
    attempts: int = 16
    backoff: float = 0.5
    longest_backoff: float = 10.0
    longest_wait: float = 120.0

    def __post_init__(self) -> None:
        for name, least in (("concurrency", 1), ("attempts", 1), ("backoff", 0)):
            if getattr(self, name) < least:
                raise SettingsError(f"{name}={getattr(self, name)} is impossible; give {least} or more")
        if not self.timeout > 0:
            raise SettingsError(f"timeout={self.timeout} is impossible; give a number of seconds above 0")


def checked_url(url: str) -> httpx.URL:
    """Return the address of a server's API, with /v1 appended to a bare host.

    Raises:
        SettingsError: It is no http(s) address, or holds a password or a query, which would show in messages.
    """
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise SettingsError(f"{url!r} is no address ({error}); give one as http://host:8000/v1") from error
    if parsed.userinfo or parsed.query or parsed.fragment:
        raise SettingsError(
            f"the address of {parsed.host} holds more than host and path; keys belong in GEOCHAT_API_KEY"
        )
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise SettingsError(f"{url!r} is no http address; give one as http://host:8000/v1")
    return parsed.copy_with(path=parsed.path.rstrip("/") or "/v1")


def is_loopback(url: httpx.URL) -> bool:
    """Return whether a server is on this machine."""
    if url.host == "localhost":
        return True
    try:
        return ipaddress.ip_address(url.host).is_loopback
    except ValueError:
        return False


def key_for(url: httpx.URL) -> str | None:
    """Return the API key for a server from the environment: GEOCHAT_API_KEY, or else OPENAI_API_KEY.

    The latter may have been set for another program, and is not sent unencrypted to another machine.

    Raises:
        SettingsError: The key cannot be sent.
    """
    names = ["GEOCHAT_API_KEY", *(["OPENAI_API_KEY"] if url.scheme == "https" or is_loopback(url) else [])]
    found = ((name, os.environ.get(name, "").strip()) for name in names)
    name, key = next(((name, key) for name, key in found if key), ("", None))
    if key is not None and not (key.isascii() and key.isprintable()):
        raise SettingsError(f"the key in {name} holds characters that no header takes; set it again")
    return key


class Connection:
    """Sends requests to one server. Everything but the constructor runs in one event loop.

    Args:
        url: As `checked_url` gives it.
        key: Goes into the Authorization header and nowhere else.
        limits: Settings of requests.
    """

    def __init__(self, url: httpx.URL, key: str | None, limits: RemoteLimits) -> None:
        self.where = str(url)
        self.is_here = is_loopback(url)
        self.limits = limits
        self._hidden = key
        self._slots = asyncio.Semaphore(limits.concurrency)
        self._http = httpx.AsyncClient(
            base_url=url,
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx.Timeout(limits.timeout, connect=min(10.0, limits.timeout), pool=None),
            limits=httpx.Limits(max_connections=None, keepalive_expiry=2.0),  # below servers' 5 s, so none is stale
            trust_env=not self.is_here,  # no proxy leads to this machine
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._http.aclose()

    async def models(self) -> list[dict[str, Any]]:
        """Return the server's list of models; empty if it has none.

        Raises:
            EngineError: It cannot be reached, refuses, or is no such server.
        """
        async with self._sent("GET", "models") as response:
            if response.status_code == 404:
                return []
            answer = await self._object(response)
        listed = answer.get("data", answer.get("models"))
        if not isinstance(listed, list):
            raise EngineError(f"{self.where} is no OpenAI-compatible server: its /models lists none; check the address")
        return [model for model in listed if isinstance(model, dict) and isinstance(model.get("id"), str)]

    async def completion(self, body: Mapping[str, Any], options: Collection[str] = ()) -> dict[str, Any]:
        """Return a complete answer; errors as in `events`."""
        async with self._sent("POST", "chat/completions", body) as response:
            return await self._object(response, body, options)

    async def events(
        self, body: Mapping[str, Any], options: Collection[str] = ()
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Yield the events of an answer in generation; closing the iterator closes the connection.

        Args:
            body: The request.
            options: Names in it that the server may refuse.

        Raises:
            BrokenOffError: It failed in a way that may pass.
            UnknownOptionError: The server does not know one of `options`.
            GeoChatError: It is refused.
        """
        async with self._sent("POST", "chat/completions", body) as response:
            if "text/event-stream" not in response.headers.get("content-type", "") or not response.is_success:
                yield await self._object(response, body, options)  # some answer at once, whatever they are asked
                return
            lines = _lines(response)
            async for line in lines:
                name, _, value = line.partition(b":")
                if name != b"data" or not (value := value.strip()):
                    continue
                if value == b"[DONE]":
                    break
                yield self._event(value, body, options)
            with suppress(TimeoutError):  # a connection that is read to its end serves the next request too
                async with asyncio.timeout(_FAREWELL):
                    async for _ in lines:
                        pass

    async def retried(self, attempt: Callable[[], Awaitable[T]], attempts: int | None = None) -> T:
        """Call a function that sends a request, and retry after temporary failures.

        Args:
            attempt: Asks once.
            attempts: None takes the limit's.

        Raises:
            GeoChatError: As the last attempt did.
        """
        most = attempts or self.limits.attempts
        for number in count(1):
            try:
                async with self._slots:
                    return await attempt()
            except BrokenOffError as error:
                if number == most:
                    raise EngineError(f"{error} (tried {number} times)" if number > 1 else str(error)) from error
                await asyncio.sleep(self._delay(number, error))
        raise AssertionError

    def _delay(self, number: int, error: BrokenOffError) -> float:
        limits = self.limits
        if error.wait is not None:
            if error.wait > limits.longest_wait:
                raise EngineError(f"{error}; it asks to be left alone for {error.wait:.0f} s, try later") from error
            return error.wait + random.uniform(0, limits.backoff)
        return min(limits.longest_backoff, limits.backoff * 2.0 ** (number - 1)) * random.uniform(0.5, 1)

    @asynccontextmanager
    async def _sent(
        self, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> AsyncIterator[httpx.Response]:
        try:
            async with self._http.stream(method, path, json=body) as response:
                yield response
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise failure(self.where, error) from error

    async def _object(
        self, response: httpx.Response, body: Mapping[str, Any] | None = None, options: Collection[str] = ()
    ) -> dict[str, Any]:
        """Return a response's JSON object, or raise the error that it means."""
        read = bytearray()
        async for piece in response.aiter_bytes():
            read += piece
            if len(read) > _LARGEST:
                raise EngineError(f"{self.where} answers more than {_LARGEST >> 20} MiB; it is no such server")
        if not response.is_success:
            words = self.clean(read.decode(errors="replace"))
            error = refusal(self.where, response, words, images=_has_images(body), options=_present(options, body))
            raise await self._listing(error)
        try:
            answer = json.loads(read)
        except (ValueError, RecursionError) as error:
            raise EngineError(
                f"{self.where} is no OpenAI-compatible server: it answers no JSON; the address usually ends in /v1"
            ) from error
        if not isinstance(answer, dict):
            raise EngineError(f"{self.where} is no OpenAI-compatible server: it answers a {type(answer).__name__}")
        return answer

    def _event(self, value: bytes, body: Mapping[str, Any], options: Collection[str]) -> dict[str, Any]:
        try:
            event = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise BrokenOffError(f"{self.where} sent a damaged event") from error
        if not isinstance(event, dict):
            raise BrokenOffError(f"{self.where} sent a {type(event).__name__}, expected an event")
        if stated := event.get("error"):
            code = stated.get("code") if isinstance(stated, dict) else None
            raise stated_error(
                self.where,
                code if isinstance(code, int) else 500,
                self.clean(message_of(event)),
                images=_has_images(body),
                options=_present(options, body),
            )
        return event

    async def _listing(self, error: Exception) -> Exception:
        """Return the error, with the names of available models if the requested one does not exist."""
        if not isinstance(error, NoSuchModelError):
            return error
        names = ", ".join(model["id"] for model in await self.models())
        return NoSuchModelError(f"{error}; it has {self.clean(names) or 'none'}: name one with --model")

    def clean(self, message: str) -> str:
        """Return a server's message with the key removed."""
        return message.replace(self._hidden, _HIDDEN) if self._hidden else message


async def _lines(response: httpx.Response) -> AsyncIterator[bytes]:
    """Yield the complete lines of a stream; text after the last line break is incomplete and dropped."""
    rest = b""
    async for piece in response.aiter_bytes():
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield line.rstrip(b"\r")
        if len(rest) > _LARGEST:
            raise BrokenOffError("a server's event has no end")


def _has_images(body: Mapping[str, Any] | None) -> bool:
    return any(isinstance(message["content"], list) for message in (body or {}).get("messages", ()))


def _present(options: Collection[str], body: Mapping[str, Any] | None) -> list[str]:
    return [name for name in options if name in (body or {})]
