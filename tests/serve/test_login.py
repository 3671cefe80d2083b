"""Without a login only the login page and the health check answer; guessing is slow and locks nobody out."""

import re
import time

import httpx
import pytest
from serve_wire import WAIT_S, from_address
from starlette.routing import Mount

from geochat_serve.middleware.throttle import LoginThrottle
from geochat_serve.settings import read_auth_file

OPEN = {("/", "GET"), ("/", "HEAD"), ("/login", "POST"), ("/login/", "POST"), ("/logout", "GET")}


@pytest.fixture
def client(guarded):
    with httpx.Client(base_url=guarded.url, follow_redirects=False, timeout=WAIT_S) as client:
        yield client


def log_in(client, name="ada", password="secret", **headers):
    return client.post("login", data={"username": name, "password": password}, headers=headers)


def routes_of(router):
    """Every path and method of an application, those of what is mounted and included in it too."""
    for route in router.routes:
        inner = getattr(route, "original_router", None)
        if inner is not None:
            yield from routes_of(inner)
        elif isinstance(route, Mount):
            yield route.path or "/", "GET"
            yield route.path or "/", "POST"
        else:
            for method in getattr(route, "methods", None) or ("GET",):
                yield route.path, method


def test_no_route_answers_without_the_login(guarded, client):
    routes = sorted(set(routes_of(guarded.page.app)))
    assert len(routes) > 70, "Gradio's routes are not found"
    assert ("/gradio_api/openapi.json", "GET") in routes
    answered = set()
    for path, method in routes:
        url = re.sub(r"\{.*?\}", "x", path)
        answer = client.request(method, url)
        if answer.status_code not in (401, 404):
            answered.add((path, method))
        elif answer.status_code == 401:
            assert answer.text in ("Log in first.", ""), path
    assert answered == OPEN
    assert client.get("healthz").text == "ok\n"


def test_the_login_page_tells_nothing_of_the_application(client):
    page = client.get("").text
    for word in ("gradio", "/ask", "find", "classify", "config", "scripted"):
        assert word not in page
    assert 'name="password"' in page


def test_documentation_and_streams_need_it_too(client):
    for path in ("openapi.json", "gradio_api/openapi.json", "config", "gradio_api/info", "gradio_api/mcp/", "metrics"):
        assert client.get(path).status_code == 401
    assert client.get("gradio_api/startup-events").status_code == 401
    assert client.get("gradio_api/heartbeat/x").status_code == 401
    assert client.get("gradio_api/queue/data", params={"session_hash": "x"}).status_code == 401


def test_it_lets_in_who_has_a_password(client):
    assert log_in(client, password="wrong").status_code == 400
    assert client.get("gradio_api/info").status_code == 401
    answer = log_in(client)
    assert answer.json() == {"success": True}
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert "SameSite=lax" in answer.headers["set-cookie"]
    assert "Secure" not in answer.headers["set-cookie"]  # over HTTP; a proxy with TLS says so
    assert client.get("gradio_api/info").status_code == 200
    assert client.get("config").json()["username"] == "ada"
    assert client.get("logout").status_code == 303
    assert client.get("gradio_api/info").status_code == 401


def test_a_browser_is_led_to_the_page_and_told_what_is_wrong(client):
    wrong = log_in(client, "<b>", "wrong", accept="text/html")
    assert wrong.status_code == 400
    assert "Wrong name or password" in wrong.text
    right = log_in(client, accept="text/html")
    assert (right.status_code, right.headers["location"]) == (303, ".")


def test_behind_tls_the_cookie_is_for_tls(client):
    assert "Secure" in log_in(client, **{"x-forwarded-proto": "https"}).headers["set-cookie"]


def test_names_and_passwords_of_all_letters(client):
    assert log_in(client, "édith", "pässword").status_code == 200


NO_FORMS = [b"", b"%ff%fe=%00", b"username=ada", b"&" * 5000, b"username=\xed\xa0\x80"]


@pytest.mark.parametrize("body", NO_FORMS)
def test_what_is_no_form_is_no_login(guarded, body):
    headers = {"content-type": "application/x-www-form-urlencoded"}
    with httpx.Client(base_url=guarded.url, transport=from_address("127.0.0.20")) as client:
        assert client.post("login", content=body, headers=headers).status_code in (400, 429)


def test_programs_send_name_and_password(guarded):
    with httpx.Client(base_url=guarded.url) as client:
        assert client.get("metrics", auth=("ada", "secret")).status_code == 200
        assert client.get("gradio_api/info", auth=("ada", "secret")).status_code == 200
        assert client.get("gradio_api/info", auth=("ada", "wrong")).status_code == 401
        assert client.get("gradio_api/info", headers={"authorization": "Basic !"}).status_code == 401
        assert client.get("gradio_api/info", headers={"authorization": "Bearer x"}).status_code == 401


def test_gradio_s_client_logs_in(guarded, pictures):
    client_module = pytest.importorskip("gradio_client")
    client = client_module.Client(guarded.url, auth=("ada", "secret"), verbose=False)
    image = client_module.handle_file(str(pictures / "wide.png"))
    assert client.predict(image, "it", api_name="/find")["regions"][0]["phrase"] == "it"


def test_guessing_is_throttled_and_others_get_in(guarded):
    with (
        httpx.Client(base_url=guarded.url, transport=from_address("127.0.0.30")) as attacker,
        httpx.Client(base_url=guarded.url, transport=from_address("127.0.0.31")) as honest,
    ):
        statuses = [log_in(attacker, password=f"guess{number}").status_code for number in range(20)]
        assert statuses[:5] == [400] * 5
        assert set(statuses[5:]) == {429}
        answer = log_in(attacker)
        assert answer.status_code == 429  # also the right one, or guessing would go on
        assert int(answer.headers["retry-after"]) > 0
        assert attacker.get("gradio_api/info", auth=("ada", "secret")).status_code == 429
        assert log_in(honest).status_code == 200
        names = [log_in(attacker, f"name{number}", "x").status_code for number in range(60)]
        assert 429 in names
        assert log_in(honest, "grace", "hopper").status_code == 200


def test_a_login_that_is_there_is_not_disturbed(guarded):
    with httpx.Client(base_url=guarded.url, transport=from_address("127.0.0.33")) as client:
        log_in(client).raise_for_status()
        with httpx.Client(base_url=guarded.url, transport=from_address("127.0.0.34")) as other:
            for number in range(40):
                log_in(other, f"n{number}", "x")
        assert client.get("gradio_api/info").status_code == 200


def throttle(now):
    return LoginThrottle(clock=lambda: now[0], max_keys=1000)


def test_a_name_guessed_from_many_addresses_is_closed_to_those_and_open_to_its_user():
    now = [0.0]
    logins = throttle(now)
    for number in range(60):
        logins.add_failure(f"address 10.0.0.{number}", "ada")
    assert logins.wait_s("address 10.0.0.1", "ada") > 0
    assert logins.wait_s("address 10.9.9.9", "ada") == 0
    assert logins.wait_s("address 10.0.0.1", "grace") == 0
    now[0] += 3600
    assert logins.wait_s("address 10.0.0.1", "ada") == 0


def test_what_failed_is_forgotten_and_bounded():
    now = [0.0]
    logins = throttle(now)
    for _ in range(5):
        logins.add_failure("here", "ada")
    wait = logins.wait_s("here", "ada")
    assert 0 < wait <= 60
    now[0] += wait
    assert logins.wait_s("here", "ada") == 0
    for number in range(5000):
        logins.add_failure(f"address {number}", f"name {number}")
    assert len(logins) <= 3000


def test_a_wrong_name_takes_as_long_as_a_wrong_password(auth_file):
    check = read_auth_file(auth_file)

    def seconds(name, password):
        start = time.perf_counter()
        for _ in range(2000):
            check(name, password)
        return time.perf_counter() - start

    kinds = [("ada", "s" * 1000), ("nobody", "s" * 1000), ("ada", "secret" + "s" * 994)]
    fastest = [min(seconds(*kind) for _ in range(7)) for kind in kinds]
    assert max(fastest) < 3 * min(fastest)


def test_mcp_needs_it_too(guarded):
    """`test_mcp.py` has the tools called with it."""
    assert httpx.post(f"{guarded.url}gradio_api/mcp/", json={}).status_code == 401
