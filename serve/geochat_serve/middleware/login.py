"""Login: without one, only the login page and the health check answer.

Gradio checks its own cookie on most routes but not on all; this middleware stands before every route. It has its own
login page, since Gradio's contains the description of the application. Programs log in as Gradio's client does, or
send HTTP Basic credentials with each request.
"""

import base64
import binascii
import hashlib
import html
import math
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from geochat_serve.middleware.http import (
    API,
    LOOPBACK,
    USER,
    BodyTooLargeError,
    cookie,
    read_body,
    refuse,
    respond_unread,
    route,
    scope_address,
)
from geochat_serve.settings import PasswordCheck
from geochat_serve.web import asset

_MAX_FORM = 8 * 2**10
_MAX_TOKENS = 2000
_LOOPBACK_HEADER = "x-geochat-loopback"
_LOOPBACK_USER = "mcp"


class _FailureCounts:
    """Token buckets of failed attempts, one for each key.

    Args:
        burst: Attempts in a row.
        interval_s: Seconds after which another attempt is allowed.
        max_keys: Keys remembered; those that failed longest ago are forgotten first.
        clock: Returns the time in seconds.
    """

    def __init__(self, burst: int, interval_s: float, max_keys: int, clock: Callable[[], float]) -> None:
        self._burst = burst
        self._interval_s = interval_s
        self._max_keys = max_keys
        self._clock = clock
        self._failed: OrderedDict[str, tuple[float, float]] = OrderedDict()  # failures that count, and as of when

    def __len__(self) -> int:
        return len(self._failed)

    def count(self, key: str) -> float:
        """Return the failures that still count."""
        count, since = self._failed.get(key, (0.0, 0.0))
        return max(0.0, count - (self._clock() - since) / self._interval_s)

    def wait_s(self, key: str) -> int:
        """Return the seconds until the key may try again, 0 if now."""
        return max(0, math.ceil((self.count(key) - (self._burst - 1)) * self._interval_s))

    def add(self, key: str) -> None:
        """Count a failure."""
        self._failed[key] = (self.count(key) + 1, self._clock())
        self._failed.move_to_end(key)
        while len(self._failed) > self._max_keys:
            self._failed.popitem(last=False)


class LoginThrottle:
    """Limits on guessing passwords that lock nobody out.

    Failures are limited for each address and name, and for each address. A name that failed too often from anywhere
    is closed to addresses that have failed with it; other addresses still get an attempt, so that guessing a user's
    password does not keep that user out.

    Args:
        clock: Returns the time in seconds.
        max_keys: Keys of each kind that are remembered.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, max_keys: int = 20_000) -> None:
        self._pairs = _FailureCounts(5, 15.0, max_keys, clock)
        self._addresses = _FailureCounts(30, 5.0, max_keys, clock)
        self._names = _FailureCounts(50, 5.0, max_keys, clock)

    def __len__(self) -> int:
        return len(self._pairs) + len(self._addresses) + len(self._names)

    def wait_s(self, address: str, name: str) -> int:
        """Return the seconds until this login may be tried, 0 if now."""
        pair = f"{address} {_digest(name)}"
        wait = max(self._pairs.wait_s(pair), self._addresses.wait_s(address))
        return max(wait, self._names.wait_s(_digest(name))) if self._pairs.count(pair) else wait

    def add_failure(self, address: str, name: str) -> None:
        """Count a failed login."""
        self._pairs.add(f"{address} {_digest(name)}")
        self._addresses.add(address)
        self._names.add(_digest(name))


class Authenticator:
    """Passwords, login tokens and the server's own requests.

    Attributes:
        started: Whether the server has started; until then Gradio requests its own start-up events.
    """

    def __init__(self, check: PasswordCheck | None) -> None:
        self._check = check
        self._throttle = LoginThrottle()
        self._users: OrderedDict[str, str] = OrderedDict()  # by token
        self._loopback = secrets.token_urlsafe(32)
        self.started = False

    @property
    def required(self) -> bool:
        """Return whether users have to log in."""
        return self._check is not None

    def loopback_headers(self) -> dict[str, str]:
        """Return the headers by which the server recognises its own requests."""
        return {_LOOPBACK_HEADER: self._loopback}

    def is_loopback(self, headers: Headers) -> bool:
        """Return whether a request is the server's own."""
        return secrets.compare_digest(headers.get(_LOOPBACK_HEADER, "").encode(), self._loopback.encode())

    def try_login(self, address: str, name: str, password: str) -> tuple[bool, int]:
        """Check a name and a password.

        Returns:
            Whether they match; and the seconds to wait before the next attempt, 0 if this one was checked.
        """
        if self._check is None:
            return False, 0
        wait = self._throttle.wait_s(address, name)
        if wait:
            return False, wait
        matches = self._check(name, password)
        if not matches:
            self._throttle.add_failure(address, name)
        return matches, 0

    def issue_token(self, user: str) -> str:
        """Return a new token for a user. The oldest tokens expire when there are too many."""
        token = secrets.token_urlsafe(24)
        self._users[token] = user
        while len(self._users) > _MAX_TOKENS:
            self._users.popitem(last=False)
        return token

    def user(self, token: str | None) -> str | None:
        """Return the user of a token."""
        return None if token is None else self._users.get(token)

    def revoke(self, token: str | None) -> None:
        """Log out. Idempotent."""
        self._users.pop(token or "", None)


class LoginMiddleware:
    """Middleware that admits logged-in users, and answers `/login` and `/logout`.

    Args:
        app: The application behind it.
        authenticator: Checks passwords and tokens.
        cookie: Name of the cookie that holds a token.
        root_path: The prefix under which a proxy serves the application.
    """

    def __init__(self, app: ASGIApp, authenticator: Authenticator, cookie: str, root_path: str | None = None) -> None:
        self._app = app
        self._auth = authenticator
        self._cookie = cookie
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request or pass it on."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers, path = Headers(scope=scope), route(scope, self._root_path)
        if self._auth.is_loopback(headers):
            scope = {**scope, LOOPBACK: True, "client": ("127.0.0.1", 0)}
            scope[USER] = _LOOPBACK_USER if self._auth.required else None
            await self._app(scope, receive, send)
            return
        if not self._auth.required:
            await self._app(scope, receive, send)
            return
        token = cookie(headers, self._cookie)
        if path == "/login" and scope.get("method") == "POST":
            await self._log_in(scope, receive, send)
        elif path == "/logout" and scope.get("method") in ("GET", "POST"):
            await self._log_out(scope, receive, send, token)
        elif (user := self._auth.user(token)) is not None:
            await self._app({**scope, USER: user}, receive, send)
        elif "authorization" in headers:
            await self._basic(scope, receive, send, headers["authorization"])
        elif path == f"{API}/startup-events" and not self._auth.started:
            await self._app(scope, receive, send)
        elif path == "/" and scope.get("method") in ("GET", "HEAD"):
            await _login_page("")(scope, receive, send)
        else:
            await refuse(scope, receive, send, 401, "Log in first.")

    async def _log_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        wants_page = "text/html" in Headers(scope=scope).get("accept", "")
        try:
            form = parse_qs((await read_body(scope, receive, _MAX_FORM)).decode("utf-8", "replace"), max_num_fields=20)
        except BodyTooLargeError:
            await refuse(scope, receive, send, 413, f"The login form exceeds {_MAX_FORM // 2**10} KB.")
            return
        except ValueError:
            form = {}
        name, password = (form.get(field, [""])[0] for field in ("username", "password"))
        matches, wait = self._auth.try_login(scope_address(scope), name.strip(), password)
        if matches:
            answer: Response = RedirectResponse(".", 303) if wants_page else JSONResponse({"success": True})
            secure = scope.get("scheme") == "https"
            token = self._auth.issue_token(name.strip())
            answer.set_cookie(self._cookie, token, httponly=True, samesite="lax", secure=secure)
        else:
            text, status = _failure(wait), 429 if wait else 400
            answer = _login_page(text, status) if wants_page else JSONResponse({"detail": text}, status)
            if wait:
                answer.headers["retry-after"] = str(wait)
        await answer(scope, receive, send)

    async def _log_out(self, scope: Scope, receive: Receive, send: Send, token: str | None) -> None:
        if Headers(scope=scope).get("sec-fetch-site", "none") not in ("same-origin", "none"):
            await refuse(scope, receive, send, 403, "Requests from other sites are not allowed.")
            return
        self._auth.revoke(token)
        answer = RedirectResponse(".", 303)
        answer.delete_cookie(self._cookie)
        await respond_unread(scope, receive, send, answer)

    async def _basic(self, scope: Scope, receive: Receive, send: Send, header: str) -> None:
        """Admit a program that sends HTTP Basic credentials."""
        kind, _, encoded = header.partition(" ")
        try:
            name, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            kind, name, password = "", "", ""
        if kind.lower() != "basic":
            await refuse(scope, receive, send, 401, "Log in first, or send name and password by HTTP Basic.")
            return
        matches, wait = self._auth.try_login(scope_address(scope), name, password)
        if matches:
            await self._app({**scope, USER: name}, receive, send)
            return
        headers = {"retry-after": str(wait)} if wait else None
        await refuse(scope, receive, send, 429 if wait else 401, _failure(wait), headers=headers)


def _failure(wait_s: int) -> str:
    return f"Too many attempts; try again in {wait_s} seconds." if wait_s else "Wrong name or password."


def _login_page(text: str, status: int = 200) -> Response:
    page = asset("login.html").replace("<!-- message -->", html.escape(text))
    return HTMLResponse(page, status)


def _digest(name: str) -> str:
    """Return a short digest, so that names which clients make up are not stored."""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
