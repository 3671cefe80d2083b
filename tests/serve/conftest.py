"""A server with a scripted engine, a browser, and pictures to upload."""

import asyncio
import importlib.util
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from PIL import Image

from geochat import GeoChat
from geochat.imagery import Window
from geochat_serve import ServeSettings, serve
from geochat_serve.answering import Answerer
from geochat_serve.kept import Collection
from geochat_serve.open_scene import OpenScene
from geochat_serve.queueing import FairQueue
from geochat_serve.sessions import Session
from geochat_serve.workspace import Workspace


def _load(name):
    """A module beside this one, as `serve_NAME`: pytest imports tests by path, so they have no package."""
    spec = importlib.util.spec_from_file_location(f"serve_{name}", Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


scripted = _load("scripted")
PageClient = _load("wire").PageClient

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
ARGUMENTS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


@pytest.fixture(scope="module")  # Playwright keeps an event loop running for as long
def chromium():
    """Debian's Chromium, driven by Playwright."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright (pip install 'geochat[dev]')")
    if not Path(CHROMIUM).is_file():
        pytest.skip("needs a browser: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture
def workspace():
    made = Workspace(10**8)
    yield made
    made.close()


@pytest.fixture(scope="module")
def engine():
    return scripted.ScriptedEngine()


@pytest.fixture
def answerer(engine):
    made = Answerer(GeoChat(engine), FairQueue(2, 8))
    yield made
    made.close()


@pytest.fixture
def opened(workspace):
    """`opened(path)` is a session that has the image open."""
    sessions = []

    def begin(path):
        sessions.append(Session("key", None, Collection(3), scene=OpenScene.open(path, path.name, owned=False)))
        return sessions[-1]

    yield begin
    for session in sessions:
        session.close(workspace)


@pytest.fixture
def ask(answerer):
    """`ask(session, ...)` has a question answered and gives its turn."""

    def have_answered(session, question, task="Grounded description", regions=(), window=None):
        async def run():
            turn = answerer.begin(session, question, task, tuple(regions), window and Window(*window))
            async for _ in answerer.answer(session, turn):
                pass
            return turn

        return asyncio.run(run())

    return have_answered


@pytest.fixture(scope="module")
def settings():
    return ServeSettings(port=0, max_upload_mb=2, concurrency=2)


@pytest.fixture(scope="module")
def server(engine, settings):
    with serve(GeoChat(engine), settings) as running:
        yield running


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """Files to upload: a wide picture, a GeoTIFF of four bands, a broken and an oversized one."""
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
    (folder / "broken.png").write_bytes((folder / "wide.png").read_bytes()[:200])
    (folder / "huge.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(3 * 2**20))
    return folder


@pytest.fixture
def pages():
    """`pages(url, ...)` is another browser's page, not yet entered."""
    opened = []

    def begin(url, session_hash="page", **options):
        opened.append(PageClient(url, session_hash, **options))
        return opened[-1]

    yield begin
    for page in opened:
        page.http.close()


class User:
    """Somebody at the page."""

    def __init__(self, page, url):
        self.page = page
        self.url = url
        self.errors = []
        self.outside = []
        self.asked = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda message: message.type == "error" and self.errors.append(message.text))
        page.on("request", lambda asked: self.asked.append(asked.url))
        page.on(
            "request", lambda asked: asked.url.startswith((url, "data:", "blob:")) or self.outside.append(asked.url)
        )
        page.goto(url)
        page.wait_for_selector(".gv-gallery button")

    def open(self, path):
        self.page.set_input_files(".gv-file", path)
        self.page.wait_for_function("name => document.querySelector('.gv-name')?.textContent === name", arg=path.name)

    def open_sample(self):
        self.page.click(".gv-gallery button")
        self.page.wait_for_selector(".gv-open", state="hidden")

    def choose(self, task):
        self.page.click(f"#task label:has-text('{task}')")
        self.page.wait_for_function("task => document.querySelector('#task input:checked')?.value === task", arg=task)

    def ask(self, question, task=None, *, wait=True):
        if task:
            self.choose(task)
        turns = self.page.locator(".gc-turn").count()
        self.page.fill("#question textarea", question)
        self.page.click("#ask")
        self.page.wait_for_function("n => document.querySelectorAll('.gc-turn').length > n", arg=turns)
        if wait:
            self.done()

    def done(self):
        self.page.wait_for_selector(".gc-turn:last-child:is(.done, .stopped, .failed)")

    def stage(self):
        box = self.page.locator(".gv-stage").bounding_box()
        return box["x"], box["y"], box["width"], box["height"]

    def drag(self, start, end):
        """Drag between two points, fractions of the stage."""
        left, top, width, height = self.stage()
        self.page.mouse.move(left + width * start[0], top + height * start[1])
        self.page.mouse.down()
        self.page.mouse.move(left + width * end[0], top + height * end[1], steps=4)
        self.page.mouse.up()

    def draw(self, start=(0.4, 0.4), end=(0.6, 0.6)):
        self.page.click("[data-do=draw]")
        self.drag(start, end)
        self.page.wait_for_selector(".gv-region.chosen")

    def words(self):
        return self.page.locator(".gc-turn:last-child .gc-words").inner_text()

    def toast(self):
        return self.page.locator(".toast-body").last.inner_text()

    def click_tool(self, text):
        self.page.click(f".gc-turn:last-child .gc-tools button:text-is('{text}')")


@pytest.fixture
def people(chromium, server):
    """`people(...)` is another user with a browser of their own; nobody's page may have failed or called outside."""
    users, contexts = [], []

    def enter(**options):
        contexts.append(chromium.new_context(**{"viewport": {"width": 1280, "height": 800}, **options}))
        contexts[-1].set_default_timeout(60_000)  # a busy machine is slow, not wrong
        users.append(User(contexts[-1].new_page(), server.url))
        return users[-1]

    yield enter
    for user in users:
        assert user.errors == []
        assert user.outside == []
    for context in contexts:
        context.close()


@pytest.fixture
def user(people):
    return people()
