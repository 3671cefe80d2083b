"""The login: without it, the login page and the health check are all there is.

Gradio checks its own cookie on most routes, not on all: here one middleware stands before every route. Its login page
is ours, since Gradio's carries the application's description. A program logs in as Gradio's client does, or sends its
name and password with each request (HTTP Basic).
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

from geochat_serve.auth import AuthCheck, LoginThrottle
from geochat_serve.bodies import BodyTooLargeError, read_body
from geochat_serve.clients import LOOPBACK, USER, scope_address
from geochat_serve.components import asset
from geochat_serve.paths import API, cookie, route
from geochat_serve.replies import refuse, reply

_MAX_FORM = 8 * 2**10
_MAX_TOKENS = 2000
_LOOPBACK_HEADER = "x-geochat-loopback"
_LOOPBACK_USER = "mcp"


class Logins:
    """Who is logged in.

    Attributes:
        loopback: A secret by which the server recognises its own requests.
        started: Whether the server has started; until then Gradio asks itself for its start-up events.
    """

    def __init__(self, check: AuthCheck | None) -> None:
        self._check = check
        self._throttle = LoginThrottle()
        self._users: OrderedDict[str, str] = OrderedDict()
        self.loopback = secrets.token_urlsafe(32)
        self.started = False

    @property
    def required(self) -> bool:
        """Whether one has to log in."""
        return self._check is not None

    def loopback_headers(self) -> dict[str, str]:
        """What the server's own requests carry."""
        return {_LOOPBACK_HEADER: self.loopback}

    def try_login(self, address: str, name: str, password: str) -> tuple[bool, int]:
        """Check a name and a password.

        Returns:
            Whether they are right; and the seconds to wait before trying again, 0 where they were looked at.
        """
        if self._check is None:
            return False, 0
        wait = self._throttle.wait_s(address, name)
        if wait:
            return False, wait
        right = self._check(name, password)
        if not right:
            self._throttle.failed(address, name)
        return right, 0

    def issue(self, user: str) -> str:
        """A token by which the user is recognised; of very many the oldest are forgotten."""
        token = secrets.token_urlsafe(24)
        self._users[token] = user
        while len(self._users) > _MAX_TOKENS:
            self._users.popitem(last=False)
        return token

    def user(self, token: str | None) -> str | None:
        """The user of a token."""
        return None if token is None else self._users.get(token)

    def forget(self, token: str | None) -> None:
        """Log out."""
        self._users.pop(token or "", None)


class LoginGate:
    """Middleware that lets in who is logged in, and answers `/login` and `/logout`.

    Args:
        app: What stands behind it.
        logins: Who is logged in.
        cookie: The name of the cookie that holds a token.
        root_path: Where a proxy puts the application.
    """

    def __init__(self, app: ASGIApp, logins: Logins, cookie: str, root_path: str | None = None) -> None:
        self._app = app
        self._logins = logins
        self._cookie = cookie
        self._root = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let in or turn away."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers, path = Headers(scope=scope), route(scope, self._root)
        if secrets.compare_digest(headers.get(_LOOPBACK_HEADER, "").encode(), self._logins.loopback.encode()):
            scope = {**scope, LOOPBACK: True, "client": ("127.0.0.1", 0)}
            scope[USER] = _LOOPBACK_USER if self._logins.required else None
            await self._app(scope, receive, send)
            return
        if not self._logins.required:
            await self._app(scope, receive, send)
            return
        token = cookie(headers, self._cookie)
        if path == "/login" and scope.get("method") == "POST":
            await self._log_in(scope, receive, send)
        elif path == "/logout" and scope.get("method") in ("GET", "POST"):
            await self._log_out(scope, receive, send, token)
        elif (user := self._logins.user(token)) is not None:
            await self._app({**scope, USER: user}, receive, send)
        elif "authorization" in headers:
            await self._basic(scope, receive, send, headers["authorization"])
        elif path == f"{API}/startup-events" and not self._logins.started:
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
            await refuse(scope, receive, send, 413, "That is no name and password.")
            return
        except ValueError:
            form = {}
        name, password = (form.get(field, [""])[0] for field in ("username", "password"))
        right, wait = self._logins.try_login(scope_address(scope), name.strip(), password)
        if right:
            answer: Response = JSONResponse({"success": True})
            if wants_page:
                answer = RedirectResponse(".", 303)
            secure = scope.get("scheme") == "https"
            token = self._logins.issue(name.strip())
            answer.set_cookie(self._cookie, token, httponly=True, samesite="lax", secure=secure)
        else:
            text = f"Too many tries; try again in {wait} seconds." if wait else "Name and password do not go together."
            status = 429 if wait else 400
            answer = _login_page(text, status) if wants_page else JSONResponse({"detail": text}, status)
            if wait:
                answer.headers["retry-after"] = str(wait)
        await answer(scope, receive, send)

    async def _log_out(self, scope: Scope, receive: Receive, send: Send, token: str | None) -> None:
        if Headers(scope=scope).get("sec-fetch-site", "none") not in ("same-origin", "none"):
            await refuse(scope, receive, send, 403, "Pages of other sites may not log you out.")
            return
        self._logins.forget(token)
        answer = RedirectResponse(".", 303)
        answer.delete_cookie(self._cookie)
        await reply(scope, receive, send, answer)

    async def _basic(self, scope: Scope, receive: Receive, send: Send, header: str) -> None:
        """Let a program in that sends name and password with each request."""
        kind, _, encoded = header.partition(" ")
        try:
            name, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            kind, name, password = "", "", ""
        if kind.lower() != "basic":
            await refuse(scope, receive, send, 401, "Log in first, or send a name and a password (HTTP Basic).")
            return
        right, wait = self._logins.try_login(scope_address(scope), name, password)
        if right:
            await self._app({**scope, USER: name}, receive, send)
            return
        headers = {"retry-after": str(wait)} if wait else None
        text = f"Too many tries; try again in {wait} seconds." if wait else "Name and password do not go together."
        await refuse(scope, receive, send, 429 if wait else 401, text, headers=headers)


def _login_page(text: str, status: int = 200) -> Response:
    page = asset("login.html").replace("<!-- message -->", html.escape(text))
    return HTMLResponse(page, status)
