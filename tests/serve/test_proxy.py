"""Behind a reverse proxy that puts the page at a sub-path, as `--root-path` is for."""

import threading
import time
from types import SimpleNamespace

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from geochat import GeoChat
from geochat_serve import ServeSettings, serve

_METHODS = ["GET", "POST", "HEAD"]


def proxy(target):
    """An application that hands `/geochat/...` on to `target/...`, host kept, and streams what comes back."""

    async def forward(request):
        path = request.url.path.removeprefix("/geochat").lstrip("/")
        asked = httpx.Request(
            request.method,
            httpx.URL(target).join(path).copy_with(query=request.url.query.encode()),
            headers=request.headers.raw,
            content=request.stream() if request.method == "POST" else None,
        )
        client = httpx.AsyncClient(timeout=None)
        answer = await client.send(asked, stream=True)

        async def body():
            try:
                async for part in answer.aiter_raw():
                    yield part
            finally:
                await answer.aclose()
                await client.aclose()

        headers = {name: value for name, value in answer.headers.items() if name != "transfer-encoding"}
        return StreamingResponse(body(), answer.status_code, headers=headers)

    async def icon(_request):
        return Response(status_code=204)  # browsers ask the root for one

    routes = [Route("/geochat{path:path}", forward, methods=_METHODS), Route("/favicon.ico", icon)]
    return Starlette(routes=routes)


@pytest.fixture(scope="module")
def server(engine):
    settings = ServeSettings(port=0, root_path="/geochat")
    with serve(GeoChat(engine), settings) as running:
        front = uvicorn.Server(uvicorn.Config(proxy(running.url), port=0, ws="none", log_level="critical"))
        thread = threading.Thread(target=front.run, daemon=True)
        thread.start()
        while not front.started:
            time.sleep(0.05)
        port = front.servers[0].sockets[0].getsockname()[1]
        yield SimpleNamespace(url=f"http://127.0.0.1:{port}/geochat/")
        front.should_exit = front.force_exit = True
        thread.join(10)


def test_the_page_uploads_asks_and_saves(user, pictures):
    user.open(pictures / "wide.png")
    user.ask("where?", "Grounded description")
    assert user.page.locator(".gv-box").count() == 3
    user.page.click("text=Save and load")
    with user.page.expect_download() as saved:
        user.page.click("#takeaway [data-kind=geojson]")
    assert saved.value.suggested_filename == "wide-geochat.geojson"
    assert all(url.startswith(user.url) for url in user.asked)  # nothing at the proxy's root, which is somebody else's


@pytest.mark.slow
def test_leaving_stops_computing(user, engine, pictures):
    user.open(pictures / "wide.png")
    user.ask("slow", wait=False)
    user.page.wait_for_selector(".gc-turn.writing .gc-words:has-text('word3')")
    user.page.goto("about:blank")
    user.errors.clear()  # Gradio's own, of the connection that was cut
    deadline = time.monotonic() + 60
    while engine.running and time.monotonic() < deadline:
        time.sleep(0.05)
    assert engine.running == 0


def test_programs_find_it_too(server, pictures):
    client_module = pytest.importorskip("gradio_client")
    client = client_module.Client(server.url, verbose=False)
    image = client_module.handle_file(str(pictures / "wide.png"))
    assert client.predict(image, "it", api_name="/find")["regions"][0]["phrase"] == "it"
