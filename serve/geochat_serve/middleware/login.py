"""Login: without one, only the login page and the health check answer.

Gradio checks its own cookie on most routes but not on all; this middleware stands before every route. It has its own
login page, since Gradio's contains the description of the application. Programs log in as Gradio's client does, or
send HTTP Basic credentials with each request. A token (`Authorization: Bearer`) admits to the HTTP API alone; where
tokens exist and no login does, the API needs one.
"""

import base64
import binascii
import html
import secrets
from collections import OrderedDict
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from geochat_serve.middleware.http import (
    API,
    HTTP_API,
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
from geochat_serve.middleware.throttle import LoginThrottle
from geochat_serve.settings import PasswordCheck, TokenCheck
from geochat_serve.web import asset

_MAX_FORM = 8 * 2**10
_MAX_TOKENS = 2000
_LOOPBACK_HEADER = "x-geochat-loopback"
_LOOPBACK_USER = "mcp"
_TOKEN_KEY = "\0token"  # stands for a name where failed tokens are counted; no login has it


class Authenticator:
    """Passwords, login tokens, API tokens and the server's own requests.

    Args:
        check: Checks names and passwords; None if there is no login.
        check_token: Checks API tokens; None if there are none.

    Attributes:
        started: Whether the server has started; until then Gradio requests its own start-up events.
    """

    def __init__(self, check: PasswordCheck | None, check_token: TokenCheck | None = None) -> None:
        self._check = check
        self._check_token = check_token
        self._throttle = LoginThrottle()
        self._users: OrderedDict[str, str] = OrderedDict()  # by token
        self._loopback = secrets.token_urlsafe(32)
        self.started = False

    @property
    def required(self) -> bool:
        """Return whether users have to log in."""
        return self._check is not None

    @property
    def has_tokens(self) -> bool:
        """Return whether the HTTP API has tokens."""
        return self._check_token is not None

    def try_token(self, address: str, token: str) -> tuple[str | None, int]:
        """Check an API token.

        Returns:
            Its name, None if it is wrong; and the seconds to wait before the next attempt, 0 if this one was checked.
        """
        if self._check_token is None:
            return None, 0
        wait = self._throttle.wait_s(address, _TOKEN_KEY)
        if wait:
            return None, wait
        name = self._check_token(token)
        if name is None:
            self._throttle.add_failure(address, _TOKEN_KEY)
        return name, 0

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
        takes_token = self._auth.has_tokens and path.startswith(f"{HTTP_API}/")
        kind, _, token = headers.get("authorization", "").partition(" ")
        if takes_token and kind.lower() == "bearer":
            await self._bearer(scope, receive, send, token.strip())
        elif self._auth.required:
            await self._admit(scope, receive, send, headers, path)
        elif takes_token:
            text = "Send a token of this server's API: the header Authorization: Bearer TOKEN."
            await refuse(scope, receive, send, 401, text, headers={"www-authenticate": "Bearer"})
        else:
            await self._app(scope, receive, send)

    async def _admit(self, scope: Scope, receive: Receive, send: Send, headers: Headers, path: str) -> None:
        """Admit a logged-in user."""
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

    async def _bearer(self, scope: Scope, receive: Receive, send: Send, token: str) -> None:
        """Admit a program that sends an API token."""
        name, wait = self._auth.try_token(scope_address(scope), token)
        if name is not None:
            await self._app({**scope, USER: f"token:{name}"}, receive, send)
            return
        text = f"Too many attempts; try again in {wait} seconds." if wait else "Wrong API token."
        headers = {"retry-after": str(wait)} if wait else {"www-authenticate": "Bearer"}
        await refuse(scope, receive, send, 429 if wait else 401, text, headers=headers)

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
