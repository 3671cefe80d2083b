"""The server opens no address that a request names: a server beside it, which counts, is never asked."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from geochat.errors import ImageError
from geochat_serve.open_scene import OpenScene

ENDPOINTS = {"ask": ["it", "auto", []], "find": ["it"], "classify": ["a, b"]}  # what follows the image


@pytest.fixture
def other():
    """Another server's address, and what it was asked."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        do_HEAD = do_POST = do_GET  # noqa: N815

        def log_message(self, *_):
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_requests_lead_to_no_other_server(server, pages, other):
    address, asked = other
    page = pages(server)
    page.load()
    for target in (f"{address}/x.tif", f"/vsicurl/{address}/x.tif", f"{address}/item.json", "s3://bucket/x.tif"):
        page.trigger("scene-viewer", "uploaded", {"upload": target, "name": target})
        page.trigger("scene-viewer", "uploaded", {"upload": None, "name": target})
        for image in (
            {"path": target, "meta": {"_type": "gradio.FileData"}},
            {"path": None, "url": target, "meta": {"_type": "gradio.FileData"}},
            target,
        ):
            for name, rest in ENDPOINTS.items():
                event = page.http.post(f"gradio_api/call/{name}", json={"data": [image, *rest]})
                if event.status_code == 200:
                    page.http.get(f"gradio_api/call/{name}/{event.json()['event_id']}")
                page.http.post(f"gradio_api/run/{name}", json={"data": [image, *rest]})
        page.trigger("ask", "click", data=[target, "Grounded description", False, ""])
    assert asked == []


def test_the_one_place_that_opens_images_takes_no_address(other):
    address, asked = other
    for name in (f"{address}/x.tif", f"{address}/item.json"):
        with pytest.raises(ImageError, match="does not exist"):
            OpenScene.open(Path(name), "the image")
    assert asked == []
