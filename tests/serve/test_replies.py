"""No reply reveals a path of the server: every byte of a session's replies, headers included, is searched."""

import tempfile

PATHS = (
    *("", "config", "gradio_api/info", "gradio_api/openapi.json", "metrics", "healthz", "nowhere", "theme.css"),
    *("gradio_api/file=x", "file=/etc/passwd", "static/x", "assets/x", "svelte/../x", "manifest.json", "robots.txt"),
)


def test_no_reply_of_a_session_reveals_a_path(server, pages, pictures):
    replies = []

    def record(response):
        response.read()
        replies.append((str(response.request.url), repr(response.headers).encode() + response.content))

    page = pages(server, headers={"accept-encoding": "identity"}, event_hooks={"response": [record]})
    key, _ = page.load()
    uploads = {}
    for name in ("wide.png", "place.tif", "broken.png"):
        answer = page.http.post("gradio_api/upload", files={"files": (name, (pictures / name).read_bytes())})
        (uploads[name],) = answer.json()
    page.http.post("gradio_api/upload", files={"files": ("huge.png", (pictures / "huge.png").read_bytes())})
    page.http.post(
        "gradio_api/upload", content=b"nonsense", headers={"content-type": "multipart/form-data; boundary=x"}
    )
    for name in ("broken.png", "broken.png", "wide.png"):
        page.trigger("scene-viewer", "uploaded", {"upload": uploads[name], "name": name})
    page.trigger("ask", "click", data=["where?", "Grounded description", False, ""])
    page.trigger("ask", "click", data=["explode", "Grounded description", False, ""])
    for kind in ("png", "geojson", "gpkg", "csv", "json", "markdown", "training", "nothing"):
        page.http.post("page/exports", headers={"x-geochat-session": key}, json={"kind": kind})
    for upload in (uploads["place.tif"], uploads["place.tif"], "nothing", "/etc/passwd", "../x", f"{'0' * 64}/x"):
        image = {"path": upload, "meta": {"_type": "gradio.FileData"}}
        event = page.http.post("gradio_api/call/find", json={"data": [image, "it"]})
        page.http.get(f"gradio_api/call/find/{event.json().get('event_id')}")
        page.http.post("gradio_api/run/find", json={"data": [image, "it"]})
    for path in PATHS:
        page.http.get(path)
    assert len(replies) > 50
    folder = str(server.storage.uploads.parent)
    for secret in (folder, folder.rpartition("/")[2], tempfile.gettempdir() + "/", "/secret/place"):
        assert [url for url, content in replies if secret.encode() in content] == []
