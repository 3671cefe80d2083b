"""Uploads go to disk as they come, and what is wrong with one leaves nothing there. Over real sockets."""

from urllib.parse import urlsplit

import httpx
import pytest
from serve_wire import MEBI, Memory, connect, wait_until

from geochat import GeoChat
from geochat_serve import ServeSettings, serve

FILE = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\nx\r\n'


@pytest.fixture(scope="module")
def large(engine):
    with serve(GeoChat(engine), ServeSettings(port=0, max_upload_mb=512)) as running:
        yield running


def test_an_upload_goes_to_disk_as_it_comes(large):
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
        answer = httpx.post(f"{large.url}gradio_api/upload", content=content(), headers=headers, timeout=60)
    (name,) = answer.raise_for_status().json()
    assert large.workspace.find(name).stat().st_size == 300 * MEBI
    assert memory.growth < 48 * MEBI
    print(f"upload of 300 MB: {memory.growth / MEBI:.1f} MB")  # noqa: T201
    large.workspace.claim(name).unlink()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "no file"),
        (b"--x--\r\n", "no file"),
        (b'--x\r\nContent-Disposition: form-data; name="files"\r\n\r\nhello\r\n--x--\r\n', "no file"),
        (b"nonsense", "cannot be read"),
        (b"--x\r\n" + b"A: " + b"b" * 20_000 + b"\r\n\r\n\r\n--x--\r\n", "cannot be read"),
        (
            b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\nx\r\n' * 20 + b"--x--\r\n",
            "8 files",
        ),
    ],
)
def test_a_wrong_form_is_refused_and_leaves_nothing(server, body, message):
    server.workspace.sweep(0)
    headers = {"content-type": "multipart/form-data; boundary=x"}
    answer = httpx.post(f"{server.url}gradio_api/upload", content=body, headers=headers)
    assert answer.status_code == 400
    assert message in answer.text
    assert list(server.workspace.uploads.iterdir()) == []


def test_an_upload_that_is_cut_off_leaves_nothing(server):
    server.workspace.sweep(0)
    with connect(server.url) as connection:
        connection.sendall(
            f"POST /gradio_api/upload HTTP/1.1\r\nHost: {urlsplit(server.url).netloc}\r\n"
            "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 1000000\r\n\r\n"
            '--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n'.encode()
            + bytes(200_000)
        )
        wait_until(lambda: list(server.workspace.uploads.iterdir()))
    wait_until(lambda: not list(server.workspace.uploads.iterdir()))


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
    page = pages(server.url, "names")
    page.enter()
    shown = encoded.decode("utf-8", "replace")
    assert page.trigger("scene-viewer", "opened", {"upload": upload, "name": shown})[1] == []
