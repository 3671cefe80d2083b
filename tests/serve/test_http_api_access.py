"""Who may use the HTTP API: tokens, logins, host names and origins. Over real HTTP."""

from types import SimpleNamespace

import httpx
import pytest
from serve_wire import log_in, run
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from geochat.errors import SettingsError
from geochat_serve.middleware.http import USER
from geochat_serve.middleware.limits import EventLimits
from geochat_serve.middleware.login import Authenticator, LoginMiddleware
from geochat_serve.settings import read_api_tokens, read_auth_file

TOKEN, OTHER = "0123456789abcdef", "fedcba9876543210"
ROUTES = [
    *[("POST", name) for name in ("ask", "describe", "classify", "find", "jobs/x/resume")],
    *[
        ("GET", name)
        for name in ("server", "openapi.json", "jobs/x", "jobs/x/events", "jobs/x/result", "jobs/x/objects")
    ],
    ("DELETE", "jobs/x"),
]


@pytest.fixture(scope="module")
def token_file(tmp_path_factory):
    file = tmp_path_factory.mktemp("tokens") / "tokens"
    file.write_text(f"# programs\nci:{TOKEN}\nqgis:{OTHER}\n")
    return file


@pytest.fixture(autouse=True)
def _no_token(monkeypatch):
    monkeypatch.delenv("GEOCHAT_API_TOKEN", raising=False)


def guard(token_file=None, auth_file=None):
    """A client of an application behind the login that says who is let in."""

    async def app(scope, receive, send):
        await PlainTextResponse(f"{scope.get(USER)} {Request(scope).url.path}")(scope, receive, send)

    check = None if auth_file is None else read_auth_file(auth_file)
    authenticator = Authenticator(check, None if token_file is None else read_api_tokens(token_file))
    transport = httpx.ASGITransport(LoginMiddleware(app, authenticator, "login"), client=("10.0.0.1", 1))

    def request(path, method="GET", **headers):
        async def send():
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost/") as client:
                return await client.request(method, path, headers=headers)

        return run(send())

    return request


def test_without_tokens_the_api_is_open_to_whom_the_page_is(guarded, server):
    assert httpx.get(f"{server.url}api/v1/server").status_code == 200
    for method, path in ROUTES:
        answer = httpx.request(method, f"{guarded.url}api/v1/{path}")
        assert answer.status_code == 401, path
        assert answer.headers["content-type"] == "application/problem+json"
    assert log_in(guarded).get("api/v1/server").status_code == 200
    assert httpx.get(f"{guarded.url}api/v1/server", auth=("ada", "secret")).status_code == 200


def test_a_token_admits_to_the_api_alone(token_file, auth_file):
    for request in (guard(token_file), guard(token_file, auth_file)):
        right = {"authorization": f"Bearer {TOKEN}"}
        assert request("api/v1/ask", "POST", **right).text == "token:ci /api/v1/ask"
        assert request("api/v1/ask", authorization=f"bearer {OTHER}").text == "token:qgis /api/v1/ask"
        for header in ({}, {"authorization": "Bearer wrong"}, {"authorization": f"Bearer {TOKEN}x"}):
            answer = request("api/v1/ask", **header)
            assert answer.status_code == 401
            assert answer.json()["detail"]
    assert guard(token_file)("").text == "None /"  # a page without a login stays open
    assert guard(token_file, auth_file)("config", authorization=f"Bearer {TOKEN}").status_code == 401
    assert guard(None, auth_file)("api/v1/ask", authorization=f"Bearer {TOKEN}").status_code == 401


def test_a_login_admits_to_an_api_with_tokens(token_file, auth_file):
    request = guard(token_file, auth_file)
    assert request("api/v1/ask", authorization="Basic YWRhOnNlY3JldA==").text == "ada /api/v1/ask"


def test_guessing_tokens_is_throttled(token_file):
    request = guard(token_file)
    statuses = [request("api/v1/ask", authorization=f"Bearer guess{number}").status_code for number in range(12)]
    assert statuses[:5] == [401] * 5
    assert statuses[-1] == 429
    answer = request("api/v1/ask", authorization=f"Bearer {TOKEN}")
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0


def test_tokens_of_a_file_or_the_environment(token_file, tmp_path, monkeypatch):
    check = read_api_tokens(token_file)
    assert [check(token) for token in (TOKEN, OTHER, "", TOKEN[:-1], "é")] == ["ci", "qgis", None, None, None]
    assert read_api_tokens(None) is None
    monkeypatch.setenv("GEOCHAT_API_TOKEN", TOKEN)
    assert read_api_tokens(None)(TOKEN) == "api"
    monkeypatch.setenv("GEOCHAT_API_TOKEN", "short")
    with pytest.raises(SettingsError, match="token_urlsafe"):
        read_api_tokens(None)
    for text, message in (
        ("", "has no users"),
        ("ci\n", "line 1"),
        ("ci:short\n", "'ci'"),
        (f"ci:{TOKEN} x\n", "'ci'"),
    ):
        (tmp_path / "bad").write_text(text)
        with pytest.raises(SettingsError, match=message):
            read_api_tokens(tmp_path / "bad")


FOREIGN = [
    ({"host": "evil.example"}, 421),
    ({"x-forwarded-host": "evil.example"}, 421),
    ({"origin": "https://evil.example"}, 403),
    ({"sec-fetch-site": "cross-site"}, 403),
    ({"sec-fetch-site": "same-site"}, 403),
    ({"origin": "null"}, 403),
]


@pytest.mark.parametrize(("headers", "status"), FOREIGN)
@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_other_hosts_and_pages_of_other_sites_are_refused(server, method, path, headers, status):
    answer = httpx.request(method, f"{server.url}api/v1/{path}", headers=headers)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_calls_count_as_events_of_their_client():
    """A client may send 500 calls at once."""

    async def answered(scope, receive, send):
        await PlainTextResponse("ok")(scope, receive, send)

    queue = SimpleNamespace(event_ids_to_events={}, pending_messages_per_session={}, pending_event_ids_session={})
    limited = EventLimits(answered, SimpleNamespace(_queue=queue), clock=lambda: 0.0)

    async def send():
        transport = httpx.ASGITransport(limited, client=("10.0.0.1", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost/api/v1/") as client:
            return [await client.post("ask") for _ in range(501)], await client.get("jobs/x")

    posts, get = run(send())
    assert [answer.status_code for answer in posts] == [200] * 500 + [429]
    assert posts[-1].headers["content-type"] == "application/problem+json"
    assert get.status_code == 200
