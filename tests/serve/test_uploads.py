"""Uploads are streamed to disk, and failed ones leave nothing there. Over real sockets."""

from urllib.parse import urlsplit

import httpx
import pytest
from serve_wire import MEBI, WAIT_S, Memory, connect, log_in, wait_until


def test_an_upload_is_streamed_to_disk(guarded):
    head = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.tif"\r\n\r\n'
    tail = b"\r\n--x--\r\n"

    def content():
        yield head
        for _ in range(300):
            yield bytes(MEBI)
        yield tail

    headers = {
        "content-type": "multipart/form-data; boundary=x",
        "content-length": str(len(head) + 300 * MEBI + len(tail)),
    }
    with Memory() as memory:
        answer = log_in(guarded).post("gradio_api/upload", content=content(), headers=headers, timeout=WAIT_S)
    (name,) = answer.raise_for_status().json()
    assert guarded.storage.find(name).stat().st_size == 300 * MEBI
    assert memory.growth < 48 * MEBI
    guarded.storage.claim(name).unlink()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "has no file"),
        (b"--x--\r\n", "no file"),
        (b'--x\r\nContent-Disposition: form-data; name="files"\r\n\r\nhello\r\n--x--\r\n', "no file"),
        (b"nonsense", "Invalid upload form"),
        (b"--x\r\n" + b"A: " + b"b" * 20_000 + b"\r\n\r\n\r\n--x--\r\n", "Invalid upload form"),
        (
            b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\nx\r\n' * 20 + b"--x--\r\n",
            "8 files",
        ),
    ],
)
def test_a_wrong_form_is_refused_and_leaves_nothing(server, body, message):
    server.storage.remove_expired(0, 0)
    headers = {"content-type": "multipart/form-data; boundary=x"}
    answer = httpx.post(f"{server.url}gradio_api/upload", content=body, headers=headers)
    assert answer.status_code == 400
    assert message in answer.text
    assert list(server.storage.uploads.iterdir()) == []


def test_an_upload_that_is_cut_off_leaves_nothing(server):
    server.storage.remove_expired(0, 0)
    with connect(server.url) as connection:
        connection.sendall(
            f"POST /gradio_api/upload HTTP/1.1\r\nHost: {urlsplit(server.url).netloc}\r\n"
            "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 1000000\r\n\r\n"
            '--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n'.encode()
            + bytes(200_000)
        )
        wait_until(lambda: list(server.storage.uploads.iterdir()))
    wait_until(lambda: not list(server.storage.uploads.iterdir()))


@pytest.mark.parametrize("name", ["ä.png", "x" * 4000 + ".png", b"\xff\xfe.png", "../../a.png", "a\\b.png", '"; x="'])
def test_file_names_of_every_kind_are_taken(server, pages, pictures, name):
    encoded = name if isinstance(name, bytes) else name.encode()
    body = (
        b'--x\r\nContent-Disposition: form-data; name="files"; filename="'
        + encoded.replace(b'"', b"%22")
        + b'"\r\n\r\n'
        + (pictures / "wide.png").read_bytes()
        + b"\r\n--x--\r\n"
    )
    headers = {"content-type": "multipart/form-data; boundary=x"}
    answer = httpx.post(f"{server.url}gradio_api/upload", content=body, headers=headers)
    if len(encoded) > 4000:
        assert answer.status_code in (200, 400)
    if answer.status_code == 400:
        return
    (upload,) = answer.raise_for_status().json()
    page = pages(server, "names")
    page.load()
    shown = encoded.decode("utf-8", "replace")
    assert page.trigger("scene-viewer", "uploaded", {"upload": upload, "name": shown})[1] == []
