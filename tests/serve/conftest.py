"""Servers with a scripted engine, a browser, and pictures to upload.

Servers and browser are started once for all tests: start-up takes most of the time.
"""

import contextlib
import importlib.util
import sys
from importlib.util import find_spec
from pathlib import Path

import httpx
import numpy as np
import pytest
import rasterio
from affine import Affine
from PIL import Image

from geochat import GeoChat
from geochat.imagery import Window
from geochat_serve import ServeSettings, serve
from geochat_serve.answering import AnswerService
from geochat_serve.corrections import CorrectionSet
from geochat_serve.open_scene import OpenScene
from geochat_serve.queue import FairQueue
from geochat_serve.session import Session
from geochat_serve.storage import UploadStorage


def _load(name):
    """Load a module beside this one, as `serve_NAME`: pytest imports tests by path, so they have no package."""
    spec = importlib.util.spec_from_file_location(f"serve_{name}", Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


scripted, wire, browser = _load("scripted"), _load("wire"), _load("browser")
MCP = find_spec("mcp") is not None


@pytest.fixture(scope="session")
def engine():
    return scripted.ScriptedEngine()


@pytest.fixture(scope="session")
def server(engine):
    """A server that anybody may use."""
    settings = ServeSettings(port=0, max_upload_mb=2, metrics=True, mcp=MCP, max_sessions=1000)
    with serve(GeoChat(engine), settings) as running:
        yield running


@pytest.fixture(autouse=True)
def no_search_goes_on(request):
    """A test's searches end with it: its client is everybody's, and may have few at a time."""
    jobs = getattr(request.getfixturevalue("server"), "jobs", None) if "server" in request.fixturenames else None
    yield
    if jobs is not None:
        for owner in {job.owner for job in jobs._jobs.values()}:
            jobs.remove_all(owner)


@pytest.fixture(scope="session")
def auth_file(tmp_path_factory):
    file = tmp_path_factory.mktemp("auth") / "users"
    file.write_text("ada:secret\ngrace:hopper\nédith:pässword\n")
    return file


@pytest.fixture(scope="session")
def guarded(engine, auth_file):
    """A server with a login."""
    settings = ServeSettings(port=0, auth_file=auth_file, max_upload_mb=512, metrics=True, mcp=MCP)
    with serve(GeoChat(engine), settings) as running:
        yield running


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """Files to upload: a wide picture, a GeoTIFF of four bands, a TIFF of two pages, a broken and a too large one."""
    folder = tmp_path_factory.mktemp("pictures")
    gradient = np.zeros((300, 600, 3), np.uint8)
    gradient[..., 0] = np.linspace(30, 90, 600).astype(np.uint8)
    gradient[..., 1] = np.linspace(60, 110, 300).astype(np.uint8)[:, None]
    gradient[..., 2] = 80
    Image.fromarray(gradient).save(folder / "wide.png")
    place = {"transform": Affine(0.5, 0, 500_000, 0, -0.5, 4_649_000), "crs": "EPSG:32631"}
    with rasterio.open(
        folder / "place.tif", "w", driver="GTiff", width=400, height=320, count=4, dtype="uint8", **place
    ) as target:
        target.write(np.random.default_rng(0).integers(0, 255, (4, 320, 400), np.uint8))
    first, second = (Image.fromarray(gradient[:, :width]) for width in (600, 450))
    first.save(folder / "pages.tif", save_all=True, append_images=[second])
    (folder / "broken.png").write_bytes((folder / "wide.png").read_bytes()[:200])
    (folder / "huge.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(3 * 2**20))
    return folder


@pytest.fixture
def wide_scene(pictures):
    with OpenScene.open(pictures / "wide.png", "wide.png", owned=False) as scene:
        yield scene


@pytest.fixture(scope="session")
def api(server):
    """A client of the HTTP API."""
    with httpx.Client(base_url=f"{server.url}api/v1/", timeout=wire.WAIT_S) as client:
        yield client


@pytest.fixture(scope="session")
def png(pictures):
    return (pictures / "wide.png").read_bytes()


@pytest.fixture
def storage():
    created = UploadStorage(10**8)
    yield created
    created.close()


@pytest.fixture
def answers(engine):
    service = AnswerService(GeoChat(engine), FairQueue(2, 8))
    yield service
    service.close()


@pytest.fixture
def opened(storage):
    """`opened(path)` is a session that has the image open."""
    sessions = []

    def begin(path):
        scene = OpenScene.open(path, path.name, owned=False)
        sessions.append(Session("key", None, CorrectionSet(3), scene=scene))
        return sessions[-1]

    yield begin
    for session in sessions:
        session.close(storage)


@pytest.fixture
def ask(answers):
    """`ask(session, ...)` asks a question and waits for the answer: its exchange."""

    def ask_and_wait(session, question, task="Grounded description", regions=(), window=None):
        async def answer():
            exchange = answers.start(session, question, task, tuple(regions), window and Window(*window))
            async for _ in answers.answer(session, exchange):
                pass
            return exchange

        return wire.run(answer())

    return ask_and_wait


@pytest.fixture
def conversation(ask, opened, pictures):
    """A session with boxes on the whole image, then on a part of it."""
    session = opened(pictures / "place.tif")
    ask(session, "where?")
    ask(session, "it", "Find", window=(100, 60, 200, 160))
    return session


@pytest.fixture
def correct():
    """`correct(session, exchange, text, boxes)` saves a correction, as the page does."""

    def save(session, exchange, text, boxes):
        exchange.correct(session.corrections.add(exchange, text, boxes), session.colours)

    return save


@pytest.fixture
def pages():
    """`pages(server, ...)` is the page of another browser, its session not yet started."""
    opened = []

    def begin(server, session_hash="page", **options):
        opened.append(wire.PageClient(server.url, session_hash, **options))
        return opened[-1]

    yield begin
    for page in opened:
        page.http.close()


@pytest.fixture(scope="session")
def chromium():
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright (pip install 'geochat[dev]')")
    if not Path(browser.CHROMIUM).is_file():
        pytest.skip("needs a browser: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=browser.CHROMIUM, args=list(browser.ARGUMENTS))
        yield launched
        launched.close()


@pytest.fixture
def people(chromium, server):
    """`people(...)` is another user with a browser of their own; no page may fail or call outside."""
    with contextlib.ExitStack() as stack:
        users = []

        def enter(**options):
            context = chromium.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
            stack.callback(context.close)
            context.set_default_timeout(browser.TIMEOUT_MS)
            users.append(browser.User(context.new_page(), server.url))
            return users[-1]

        yield enter
        for user in users:
            assert user.errors == []
            assert user.outside == []


@pytest.fixture
def user(people):
    return people()
