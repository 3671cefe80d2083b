"""Translation of server responses and connection failures to errors of this project.

Servers agree on status codes but not on messages. Messages are therefore searched for causes that the status does not
show: a prompt that is too long, an image that the model does not support, an option that the server does not know.
"""

import json
import re
import ssl
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from geochat.errors import ContextLengthError, EngineError, GeoChatError

_TRANSIENT = frozenset({408, 409, 425, 429})
_MOST_SHOWN = 300  # characters of a server's words
_TOO_LONG = re.compile(
    r"context.{0,20}(length|size|window)|maximum.{0,20}(length|tokens)|max_model_len|tokens.{0,10}too large"
    r"|too (long|many tokens)|exceeds? .{0,40}context"
)
_NO_IMAGES = re.compile(r"image|vision|multi-?modal|mmproj")
_QUOTA = re.compile(r"quota|billing|credit")


class BrokenOffError(EngineError):
    """A temporary failure: the request can be sent again.

    Attributes:
        wait: Seconds after which the server asks for a retry, None if unstated.
    """

    def __init__(self, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


class UnknownOptionError(EngineError):
    """The server does not support an optional option.

    Attributes:
        option: Its name in the request.
    """

    def __init__(self, message: str, option: str) -> None:
        super().__init__(message)
        self.option = option


class NoSuchModelError(EngineError):
    """The server has no model of the requested name."""


def refusal(
    where: str, response: httpx.Response, text: str, *, images: bool = False, options: Collection[str] = ()
) -> GeoChatError:
    """Return the error for a response other than 2xx.

    Args:
        where: The server's address.
        response: Its answer.
        text: The answer's body.
        images: Whether it was sent an image.
        options: Names in the request that it can do without.
    """
    status = response.status_code
    if status < 400:
        return EngineError(f"{where} is no OpenAI-compatible server: it redirects; name the address it leads to")
    return stated_error(where, status, _words(text), wait=_wait(response), images=images, options=options)


def stated_error(
    where: str,
    status: int,
    words: str,
    *,
    wait: float | None = None,
    images: bool = False,
    options: Collection[str] = (),
) -> GeoChatError:
    """Return the error for a status and a server's message; see `refusal`."""
    low = words.lower()
    message = f"{where} answers {status}: {words}" if words else f"{where} answers {status}"
    about_image = images and _NO_IMAGES.search(low)
    error: GeoChatError = EngineError(message)
    if status in (401, 403):
        error = EngineError(f"{message}; set GEOCHAT_API_KEY to a key that it takes")
    elif status == 429 and _QUOTA.search(low):
        error = EngineError(f"{message}; the account behind the key is used up")
    elif status in _TRANSIENT or (status >= 500 and not about_image):
        error = BrokenOffError(message, wait)
    elif status == 404 and "model" in low:
        error = NoSuchModelError(message)
    elif status in (404, 405):
        error = EngineError(f"{message}; is it an OpenAI-compatible server, and does its address end in /v1?")
    elif status == 413:
        error = EngineError(f"{message}; choose a smaller window of the image")
    elif _TOO_LONG.search(low):
        error = ContextLengthError(f"{message}; shorten the question, start a new conversation or lower max_new_tokens")
    elif option := next((name for name in options if re.search(rf"\b{re.escape(name)}\b", words)), None):
        error = UnknownOptionError(message, option)
    elif about_image:
        error = EngineError(f"{message}; does the model take images? Serve a vision-language model")
    return error


def failure(where: str, error: httpx.HTTPError | httpx.InvalidURL) -> EngineError:
    """Return the error for a failed connection."""
    causes = list(_causes(error))
    reason = next((str(cause) for cause in causes if str(cause)), type(error).__name__)
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return EngineError(f"{where} has a certificate that is not trusted ({reason}); name its CA in SSL_CERT_FILE")
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return EngineError(f"{where} does not speak TLS as https needs it ({reason}); is it an http:// address?")
    if isinstance(error, (httpx.UnsupportedProtocol, httpx.InvalidURL, httpx.LocalProtocolError)):
        return EngineError(f"{where} cannot be asked ({reason}); give an address as http://host:8000/v1")
    if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout)):
        return BrokenOffError(f"{where} cannot be reached ({reason}); is the server running there?")
    if isinstance(error, httpx.TimeoutException):
        return BrokenOffError(f"{where} has said nothing for too long; it may be busy, or stuck: see its log")
    return BrokenOffError(f"the connection to {where} broke ({reason})")


def _words(text: str) -> str:
    """The message of an error response."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return _shown(re.sub(r"<[^>]*>", " ", text))
    return _shown(message_of(value))


def message_of(value: object) -> str:
    """Return the message in an error object, at any depth."""
    for _ in range(4):
        if not isinstance(value, dict):
            break
        value = next((value[name] for name in ("error", "message", "detail") if value.get(name)), "")
    return value if isinstance(value, str) else json.dumps(value)


def _shown(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= _MOST_SHOWN else f"{words[:_MOST_SHOWN]}..."


def _wait(response: httpx.Response) -> float | None:
    """Return the seconds of Retry-After, given as a number or a date."""
    stated = response.headers.get("retry-after", "")
    try:
        return max(0.0, float(stated))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(stated) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and its causes, the innermost first."""
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return reversed(found)
