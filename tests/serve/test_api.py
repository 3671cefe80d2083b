"""The HTTP API and the MCP tools, and that nothing but an upload is opened. Over real HTTP."""

import base64
import http.server
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from serve_wire import WAIT_S, api_client, call, file_reference, run, upload, wait_until

from geochat import GeoChat
from geochat_serve import ServeSettings, serve


@pytest.fixture(scope="module")
def client(server):
    with api_client(server) as client:
        yield client


@pytest.fixture(scope="module")
def gradio(server):
    """Gradio's own client."""
    return pytest.importorskip("gradio_client").Client(server.url, verbose=False)


@pytest.fixture
def listener():
    """A web server of somebody's own, and what was requested of it."""
    requested = []

    class Remember(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            requested.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_args):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Remember) as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}", requested
        running.shutdown()


def answer_of(stream):
    """The answer at the end of a call's events."""
    assert "event: complete" in stream, stream
    (answer,) = json.loads(stream.rpartition("data: ")[2])
    return answer


def test_an_uploaded_image_is_answered(client, pictures, server):
    name = upload(client, (pictures / "wide.png").read_bytes())
    _, stream = call(client, "find", [file_reference(name), "it"])
    answer = answer_of(stream)
    assert answer["regions"][0]["pixels"]
    assert answer["image"]["path"] is None
    assert str(server.storage.uploads.parent) not in stream


def test_several_calls_about_one_upload_at_once(client, pictures, server):
    name = upload(client, (pictures / "wide.png").read_bytes())
    with ThreadPoolExecutor(8) as threads:
        streams = list(threads.map(lambda _: call(client, "find", [file_reference(name), "it"])[1], range(8)))
    assert {answer_of(stream)["regions"][0]["phrase"] for stream in streams} == {"it"}
    server.storage.remove_expired(linger_s=-1)
    assert "Only uploaded files" in call(client, "find", [file_reference(name), "it"])[1]


def test_several_uploads_of_one_file_at_once(gradio, pictures):
    handle_file = pytest.importorskip("gradio_client").handle_file
    jobs = [gradio.submit(handle_file(pictures / "wide.png"), "it", api_name="/find") for _ in range(8)]
    assert {job.result(WAIT_S)["regions"][0]["phrase"] for job in jobs} == {"it"}


@pytest.mark.parametrize("path", ["/etc/passwd", "{secret}", "{uploads}/../../{secret}", "file:///etc/passwd"])
def test_no_path_is_opened(client, server, tmp_path, pictures, path):
    secret = tmp_path / "secret.png"
    secret.write_bytes((pictures / "wide.png").read_bytes())
    reference = file_reference(path.format(secret=secret, uploads=server.storage.uploads))
    _, stream = call(client, "find", [reference, "it"])
    assert "event: error" in stream
    assert "secret" not in stream
    assert secret.exists()


def test_no_url_is_fetched(client, listener):
    url, requested = listener
    for reference in (file_reference(f"{url}/a.png"), {**file_reference("x"), "url": f"{url}/b.png"}):
        assert "event: error" in call(client, "find", [reference, "it"])[1]
    assert "event: error" in call(client, "ask", [None, "it", "auto", [[file_reference(f"{url}/c.png")]]])[1]
    assert requested == []


def test_files_are_not_handed_out(server, client, pictures):
    name = upload(client, (pictures / "wide.png").read_bytes())
    paths = (f"gradio_api/file={name}", "gradio_api/file=/etc/passwd", f"file={name}", "gradio_api/proxy=http://x/")
    with httpx.Client(base_url=server.url, follow_redirects=False) as browser:
        assert {browser.get(path).status_code for path in paths} == {404}


def test_uploads_have_a_limit(client):
    assert client.post("upload", files={"files": ("a.png", bytes(3 * 2**20))}).status_code == 413
    assert client.post("upload", files={"files": ("a.png", bytes(2**20))}).status_code == 200

    def endless():
        yield b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n'
        yield bytes(100)

    headers = {"content-type": "multipart/form-data; boundary=x"}
    assert client.post("upload", content=endless(), headers=headers).status_code == 411


def test_a_full_disk_refuses_uploads(client, server, monkeypatch):
    monkeypatch.setattr(server.storage, "max_bytes", 1000)
    assert client.post("upload", files={"files": ("a.png", bytes(2000))}).status_code == 507


def test_the_page_may_talk_to_this_server_alone(server):
    headers = httpx.get(server.url).headers
    assert "default-src 'self'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"


def test_the_endpoints_are_those_documented(gradio):
    api = gradio.view_api(return_format="dict", print_info=False)
    calls = {
        name: [parameter["parameter_name"] for parameter in endpoint["parameters"]]
        for name, endpoint in api["named_endpoints"].items()
    }
    assert calls == {
        "/ask": ["image", "question", "task", "regions"],
        "/find": ["image", "phrase"],
        "/classify": ["image", "classes"],
    }
    assert api["unnamed_endpoints"] == {}


def test_gradio_s_own_client(gradio, pictures):
    client_module = pytest.importorskip("gradio_client")
    image = client_module.handle_file(pictures / "place.tif")
    found = gradio.predict(image, "it", api_name="/find")
    assert found["regions"][0]["phrase"] == "it"
    assert found["crs"] == "EPSG:32631"
    other = gradio.predict(image, "a submarine", api_name="/find")
    assert [notice["code"] for notice in other["notices"]] == ["not-as-asked"]
    classified = gradio.predict(image, "harbor, airport", api_name="/classify")
    assert classified["plain_text"] == "airport"
    assert [(choice["text"], round(choice["probability"], 2)) for choice in classified["choices"]] == [
        ("harbor", 0.33),
        ("airport", 0.67),
    ]
    named = gradio.predict(image, "", "identify", [[10, 10, 90, 90, 30]], api_name="/ask")
    assert named["plain_text"] == "an airplane"
    with pytest.raises(client_module.exceptions.AppError, match="outside"):
        gradio.predict(image, "", "identify", [[9000, 9000, 9900, 9900, 0]], api_name="/ask")


def test_a_region_is_not_sent_to_tasks_that_look_at_the_whole_image(client, pictures, engine):
    image = file_reference(upload(client, (pictures / "wide.png").read_bytes()))
    answer = answer_of(call(client, "ask", [image, "it", "refer", [[10, 10, 90, 90]]])[1])
    assert [notice["code"] for notice in answer["notices"]] == ["region-not-used"]
    assert engine.info.dialect.parse(engine.requests[-1].messages[-1].text).regions == ()


def test_cancelled_calls_are_not_computed_and_nothing_is_left_on_disk(engine, pictures):
    count = len(engine.requests)
    client_module = pytest.importorskip("gradio_client")
    with serve(GeoChat(engine), ServeSettings(port=0, concurrency=1)) as single:
        folder = single.storage.uploads.parent
        gradio = client_module.Client(single.url, verbose=False)
        image = client_module.handle_file(pictures / "wide.png")
        first = gradio.submit(image, "slow", "auto", [], api_name="/ask")
        wait_until(lambda: engine.running == 1)
        second = gradio.submit(image, "short", "auto", [], api_name="/ask")
        wait_until(lambda: single.answers.queue.length == 1)
        assert second.cancel()
        assert first.cancel()
        wait_until(lambda: engine.running == 0)
        wait_until(lambda: single.answers.queue.computing == 0)
        with api_client(single) as client:
            upload(client, b"unclaimed")
        assert list(single.storage.uploads.iterdir())
    assert len(engine.requests) == count + 1
    assert not folder.exists()


def use_mcp(server, use):
    """Run `use(session)` with a session of an MCP client."""
    mcp = pytest.importorskip("mcp", reason="needs MCP (pip install 'geochat[mcp]')")
    from mcp.client.streamable_http import streamable_http_client

    async def converse():
        headers = {"authorization": "Basic " + base64.b64encode(b"ada:secret").decode()}
        async with (
            httpx.AsyncClient(headers=headers, timeout=WAIT_S) as http_client,
            streamable_http_client(f"{server.url}gradio_api/mcp/", http_client=http_client) as (read, write, _),
            mcp.ClientSession(read, write) as session,
        ):
            await session.initialize()
            return await use(session)

    return run(converse())


@pytest.fixture(scope="module")
def data_url(pictures):
    return "data:image/png;base64," + base64.b64encode((pictures / "wide.png").read_bytes()).decode()


def test_the_schema_of_the_mcp_tools(server):
    async def list_tools(session):
        return {tool.name: tool for tool in (await session.list_tools()).tools}

    tools = use_mcp(server, list_tools)
    assert sorted(tools) == ["ask", "classify", "find"]
    ask = tools["ask"].inputSchema
    assert ask["required"] == ["image", "question"]
    assert ask["properties"]["regions"]["type"] == "array"
    assert ask["properties"]["regions"]["items"]["items"] == {"type": "number"}
    assert "identify" in ask["properties"]["task"]["enum"]
    for tool in tools.values():
        assert "data URL" in tool.inputSchema["properties"]["image"]["description"]
        assert "http" not in json.dumps(tool.inputSchema)
        assert "upload_file_to_gradio" not in tool.description


@pytest.mark.parametrize("name", ["server", "guarded"])
def test_mcp_tools_answer(request, data_url, name, monkeypatch, tmp_path):
    monkeypatch.setattr("gradio.mcp.DEFAULT_TEMP_DIR", str(tmp_path))  # where Gradio itself would put images

    async def ask(session):
        with_region = {"image": data_url, "question": "", "task": "identify", "regions": [[10, 10, 90, 90, 30]]}
        return (
            await session.call_tool("ask", with_region),
            await session.call_tool("ask", {"image": data_url, "question": "short"}),
            await session.call_tool("find", {"image": data_url, "phrase": "it"}),
        )

    identified, answered, found = use_mcp(request.getfixturevalue(name), ask)
    assert [result.isError for result in (identified, answered, found)] == [False] * 3
    assert "an airplane" in identified.content[0].text
    assert "yes" in answered.content[0].text
    assert "it" in found.content[0].text
    assert list(Path(tmp_path).iterdir()) == []


def test_mcp_tools_are_called_with_one_image_at_once(server, data_url):
    import asyncio

    async def find(session):
        calls = [session.call_tool("find", {"image": data_url, "phrase": "it"}) for _ in range(8)]
        return await asyncio.gather(*calls)

    assert [found.isError for found in use_mcp(server, find)] == [False] * 8


def test_mcp_tools_open_no_path_and_no_url(server, listener):
    url, requested = listener

    async def find(session):
        images = (f"{url}/a.png", "/etc/passwd", "data:image/png;base64,!")
        return [await session.call_tool("find", {"image": image, "phrase": "it"}) for image in images]

    for refused in use_mcp(server, find):
        assert refused.isError
        assert "not a data URL" in refused.content[0].text
    assert requested == []
