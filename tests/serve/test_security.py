"""Nothing a client names is opened, nothing of one user is another's, and nothing large is taken in. Over real HTTP."""

import base64
import http.server
import json
import threading
import uuid

import httpx
import pytest
from serve_wire import wait_until

from geochat import GeoChat
from geochat_serve import ServeSettings, serve


@pytest.fixture(scope="module")
def api(server):
    with httpx.Client(base_url=f"{server.url}gradio_api", timeout=30) as client:
        yield client


@pytest.fixture
def listener():
    """A web server of somebody's own, that remembers what was asked of it."""
    asked = []

    class Remember(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_args):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Remember) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}", asked
        running.shutdown()


def call(api, name, data):
    """Call an endpoint; the event it ends with and its data."""
    event = api.post(f"/call/{name}", json={"data": data}).raise_for_status().json()["event_id"]
    lines = api.get(f"/call/{name}/{event}").text.splitlines()
    last = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")][-1]
    return last, lines[-2] if not lines[-1] else lines[-1]


def reference(path):
    return {"path": path, "meta": {"_type": "gradio.FileData"}, "orig_name": "a.tif"}


def upload(api, content, name="a.png"):
    return api.post("/upload", files={"files": (name, content)})


def test_an_uploaded_image_is_answered(api, pictures, server):
    (path,) = upload(api, (pictures / "wide.png").read_bytes()).json()
    event, data = call(api, "find", [reference(path), "it"])
    assert event == "complete"
    (answer,) = json.loads(data.removeprefix("data: "))
    assert answer["regions"][0]["pixels"]
    assert answer["image"]["path"] is None
    assert str(server.workspace.uploads.parent) not in data
    assert server.workspace.size() == 0  # read, answered, gone


@pytest.mark.parametrize("path", ["/etc/passwd", "{secret}", "{uploads}/../../{secret}", "file:///etc/passwd"])
def test_no_path_is_opened(api, server, tmp_path, pictures, path):
    secret = tmp_path / "secret.png"
    secret.write_bytes((pictures / "wide.png").read_bytes())
    event, data = call(api, "find", [reference(path.format(secret=secret, uploads=server.workspace.uploads)), "it"])
    assert event == "error"
    assert "wide" not in data
    assert secret.exists()


def test_no_url_is_fetched(api, listener):
    url, asked = listener
    for body in (reference(f"{url}/a.png"), {**reference("x"), "url": f"{url}/b.png"}):
        assert call(api, "find", [body, "it"])[0] == "error"
    assert call(api, "ask", [None, "it", "auto", [[reference(f"{url}/c.png")]]])[0] == "error"
    assert asked == []


def test_files_are_not_handed_out(server, api, pictures):
    (path,) = upload(api, (pictures / "wide.png").read_bytes()).json()
    with httpx.Client(base_url=server.url, follow_redirects=False) as client:
        for page in (
            f"gradio_api/file={path}",
            "gradio_api/file=/etc/passwd",
            f"file={path}",
            "gradio_api/proxy=http://x/",
        ):
            assert client.get(page).status_code == 404


def test_uploads_have_a_limit(api, server):
    assert upload(api, bytes(3 * 2**20)).status_code == 413
    assert upload(api, bytes(2**20)).status_code == 200
    server.workspace.sweep(0)

    def endless():
        yield b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n'
        yield bytes(100)

    headers = {"content-type": "multipart/form-data; boundary=x"}
    assert api.post("/upload", content=endless(), headers=headers).status_code == 411


def test_other_requests_have_one_too(api):
    assert api.post("/call/find", content=b"[" + b"1," * 2**24).status_code == 413


def test_a_full_disk_refuses_uploads(api, server, monkeypatch):
    monkeypatch.setattr(server.workspace, "max_bytes", 1000)
    assert upload(api, bytes(2000)).status_code == 507


def test_the_page_may_talk_to_this_server_alone(server):
    headers = httpx.get(server.url).headers
    assert "default-src 'self'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"


def test_what_programs_may_call_is_what_is_documented(server):
    client_module = pytest.importorskip("gradio_client")
    told = client_module.Client(server.url, verbose=False).view_api(return_format="dict", print_info=False)
    calls = {
        name: [parameter["parameter_name"] for parameter in call["parameters"]]
        for name, call in told["named_endpoints"].items()
    }
    assert calls == {
        "/ask": ["image", "question", "task", "regions"],
        "/find": ["image", "phrase"],
        "/classify": ["image", "classes"],
    }
    assert told["unnamed_endpoints"] == {}


def test_logging_in(engine, tmp_path):
    users = tmp_path / "users"
    users.write_text("ada:secret\n")
    with (
        serve(GeoChat(engine), ServeSettings(port=0, auth_file=users)) as server,
        httpx.Client(base_url=server.url, follow_redirects=False) as client,
    ):
        assert client.get("gradio_api/info").status_code == 401
        assert client.post("gradio_api/upload", files={"files": b"x"}).status_code == 401
        assert client.post("gradio_api/call/find", json={"data": [None, "it"]}).status_code == 401
        assert client.post("login", data={"username": "ada", "password": "wrong"}).status_code == 400
        assert client.post("login", data={"username": "ada", "password": "secret"}).status_code == 200
        assert client.get("gradio_api/info").status_code == 200


def test_the_http_api_from_gradio_s_client(server, pictures):
    client_module = pytest.importorskip("gradio_client")
    client = client_module.Client(server.url, verbose=False)
    image = client_module.handle_file(str(pictures / "place.tif"))
    found = client.predict(image, "it", api_name="/find")
    assert found["regions"][0]["phrase"] == "it"
    assert found["crs"] == "EPSG:32631"
    sought = client.predict(image, "a submarine", api_name="/find")
    assert [notice["code"] for notice in sought["notices"]] == ["not-as-asked"]
    classified = client.predict(image, "harbor, airport", api_name="/classify")
    assert classified["plain_text"] == "airport"
    assert [(choice["text"], round(choice["probability"], 2)) for choice in classified["choices"]] == [
        ("harbor", 0.33),
        ("airport", 0.67),
    ]
    named = client.predict(image, "", "identify", [[10, 10, 90, 90, 30]], api_name="/ask")
    assert named["plain_text"] == "an airplane"
    with pytest.raises(client_module.exceptions.AppError, match="outside"):
        client.predict(image, "", "identify", [[9000, 9000, 9900, 9900, 0]], api_name="/ask")


def test_a_call_that_is_cancelled_computes_no_further_and_one_in_the_queue_nothing(engine, pictures):
    client_module = pytest.importorskip("gradio_client")
    asked = len(engine.requests)
    with serve(GeoChat(engine), ServeSettings(port=0, concurrency=1)) as server:
        client = client_module.Client(server.url, verbose=False)
        image = client_module.handle_file(str(pictures / "wide.png"))
        first = client.submit(image, "slow", "auto", [], api_name="/ask")
        wait_until(lambda: engine.running == 1)
        second = client.submit(image, "short", "auto", [], api_name="/ask")
        wait_until(lambda: server.answerer.queue.length == 1)
        assert second.cancel()
        assert first.cancel()
        wait_until(lambda: engine.running == 0)
        wait_until(lambda: server.workspace.size() == 0)
    assert len(engine.requests) == asked + 1


def test_mcp_tools(engine, pictures, listener):
    mcp = pytest.importorskip("mcp", reason="needs MCP (pip install 'geochat[mcp]')")
    import asyncio

    from mcp.client.streamable_http import streamable_http_client

    url, asked = listener
    picture = base64.b64encode((pictures / "wide.png").read_bytes()).decode()

    async def converse(server):
        url_of_tools = f"{server.url}gradio_api/mcp/"
        async with streamable_http_client(url_of_tools) as (read, write, _):  # noqa: SIM117 - one needs the other
            async with mcp.ClientSession(read, write) as session:
                await session.initialize()
                names = sorted(tool.name for tool in (await session.list_tools()).tools)
                good = {"image": f"data:image/png;base64,{picture}", "phrase": "it"}
                found = await session.call_tool(next(name for name in names if "find" in name), good)
                bad = {"image": f"{url}/a.png", "phrase": "it"}
                refused = await session.call_tool(next(name for name in names if "find" in name), bad)
                return names, found, refused

    with serve(GeoChat(engine), ServeSettings(port=0, mcp=True)) as server:
        names, found, refused = asyncio.run(converse(server))
    assert [name.rpartition("_")[2] for name in names] == ["ask", "classify", "find"]
    assert not found.isError
    assert '"phrase": "it"' in found.content[0].text or "'phrase': 'it'" in found.content[0].text
    assert refused.isError
    assert asked == []


def test_everything_is_gone_afterwards(engine):
    with serve(GeoChat(engine), ServeSettings(port=0)) as server:
        root = server.workspace.uploads.parent
        (server.workspace.uploads / uuid.uuid4().hex).mkdir()
    assert not root.exists()
