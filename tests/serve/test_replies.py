"""No reply names a folder of the server: every byte of a session's replies, headers included, is searched."""

import tempfile

import pytest

from geochat import GeoChat
from geochat_serve import ServeSettings, serve

PATHS = (
    *("", "config", "gradio_api/info", "gradio_api/openapi.json", "metrics", "healthz", "nowhere", "theme.css"),
    *("gradio_api/file=x", "file=/etc/passwd", "static/x", "assets/x", "svelte/../x", "manifest.json", "robots.txt"),
)


@pytest.fixture
def recorded(engine):
    with serve(GeoChat(engine), ServeSettings(port=0, metrics=True, max_upload_mb=2)) as running:
        yield running


def test_no_reply_of_a_session_names_a_folder(recorded, pages, pictures):
    said = []

    def record(response):
        response.read()
        said.append((str(response.request.url), repr(response.headers).encode() + response.content))

    page = pages(recorded.url, headers={"accept-encoding": "identity"}, event_hooks={"response": [record]})
    page.enter()
    uploads = {}
    for name in ("wide.png", "place.tif", "broken.png"):
        answer = page.http.post("gradio_api/upload", files={"files": (name, (pictures / name).read_bytes())})
        (uploads[name],) = answer.json()
    page.http.post("gradio_api/upload", files={"files": ("huge.png", (pictures / "huge.png").read_bytes())})
    page.http.post(
        "gradio_api/upload", content=b"nonsense", headers={"content-type": "multipart/form-data; boundary=x"}
    )
    for name in ("broken.png", "broken.png", "wide.png"):
        page.trigger("scene-viewer", "opened", {"upload": uploads[name], "name": name})
    page.trigger("ask", "click", data=["where?", "Grounded description", False, ""])
    page.trigger("ask", "click", data=["explode", "Grounded description", False, ""])
    for kind in ("png", "geojson", "gpkg", "csv", "json", "markdown", "training", "nothing"):
        page.trigger("takeaway", "download_file", {"kind": kind, "hidden": []})
    for upload in (uploads["place.tif"], uploads["place.tif"], "nothing", "/etc/passwd", "../x", f"{'0' * 64}/x"):
        image = {"path": upload, "meta": {"_type": "gradio.FileData"}}
        event = page.http.post("gradio_api/call/find", json={"data": [image, "it"]})
        page.http.get(f"gradio_api/call/find/{event.json().get('event_id')}")
        page.http.post("gradio_api/run/find", json={"data": [image, "it"]})
    for path in PATHS:
        page.http.get(path)
    assert len(said) > 50
    folder = str(recorded.workspace.uploads.parent)
    for secret in (folder, folder.rpartition("/")[2], tempfile.gettempdir() + "/", "/secret/place"):
        assert [url for url, content in said if secret.encode() in content] == []
