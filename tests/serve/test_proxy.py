"""The server behind a reverse proxy that serves it under a prefix (`--root-path`)."""

import threading
from types import SimpleNamespace

import httpx
import pytest
import uvicorn
from serve_wire import WAIT_S, wait_until
from starlette.applications import Starlette
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from geochat import GeoChat
from geochat_serve import ServeSettings, serve

_METHODS = ["GET", "POST", "HEAD"]


def proxy(target):
    """An application that passes `/geochat/...` on to `target/...` with its host, and streams the answer."""

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
        wait_until(lambda: front.started)
        port = front.servers[0].sockets[0].getsockname()[1]
        yield SimpleNamespace(url=f"http://127.0.0.1:{port}/geochat/")
        front.should_exit = front.force_exit = True
        thread.join(WAIT_S)


@pytest.mark.slow
def test_the_page_uploads_asks_and_exports(user, pictures):
    user.open(pictures / "wide.png")
    user.ask("where?", "Grounded description")
    assert user.page.locator(".gv-box").count() == 3
    user.open_panel("Conversation and corrections")
    assert user.export("geojson").suggested_filename == "wide-geochat.geojson"
    assert all(url.startswith(user.url) for url in user.requested)  # nothing outside the prefix


@pytest.mark.slow
def test_closing_the_page_stops_the_answer(user, engine, pictures):
    user.open(pictures / "wide.png")
    user.ask("slow", wait=False)
    user.wait_until_writing()
    user.page.goto("about:blank")
    user.errors.clear()  # Gradio's own, of the connection that was cut
    wait_until(lambda: engine.running == 0)


def test_programs_use_it_too(server, pictures):
    client_module = pytest.importorskip("gradio_client")
    client = client_module.Client(server.url, verbose=False)
    image = client_module.handle_file(str(pictures / "wide.png"))
    assert client.predict(image, "it", api_name="/find")["regions"][0]["phrase"] == "it"
