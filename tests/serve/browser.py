"""A user with a browser: Debian's Chromium, driven by Playwright."""

import io
import shutil

import numpy as np
from PIL import Image

from geochat.dialects import GEOCHAT

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
ARGUMENTS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
TIMEOUT_MS = 300_000  # a busy machine is slow, not wrong
PHONE = {"viewport": {"width": 380, "height": 740}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}


class User:
    """Somebody at the page."""

    def __init__(self, page, url):
        self.page = page
        self.url = url
        self.errors = []
        self.asked = []  # confirmations, all given
        self.outside = []
        self.requested = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda message: message.type == "error" and self.errors.append(message.text))
        page.on("request", lambda request: self.requested.append(request.url))
        page.on(
            "request",
            lambda request: request.url.startswith((url, "data:", "blob:")) or self.outside.append(request.url),
        )
        page.on("dialog", self.confirm)
        page.goto(url)
        page.wait_for_selector(".gv-gallery button")

    def confirm(self, dialog):
        self.asked.append(dialog.message)
        dialog.accept()

    def open(self, path):
        self.page.set_input_files(".gv-file", path)
        self.page.wait_for_function("name => document.querySelector('.gv-name')?.textContent === name", arg=path.name)

    def open_sample(self):
        self.page.click(".gv-gallery button")
        self.page.wait_for_selector(".gv-open", state="hidden")

    def choose(self, task):
        self.page.click(f"#task label:has-text('{task}')")
        self.wait_for_task(task)

    def wait_for_task(self, task):
        self.page.wait_for_function("task => document.querySelector('#task input:checked')?.value === task", arg=task)

    def ask(self, question, task=None, *, wait=True):
        if task:
            self.choose(task)
        count = self.page.locator(".gc-exchange").count()
        self.page.fill("#question textarea", question)
        self.page.click("#ask")
        self.page.wait_for_function("n => document.querySelectorAll('.gc-exchange').length > n", arg=count)
        if wait:
            self.wait_for_answer()

    def wait_for_answer(self):
        self.page.wait_for_selector(".gc-exchange:last-child:is(.done, .stopped, .failed)")
        self.page.wait_for_selector("#stop:disabled")  # the last update of an answer: the session is idle

    def wait_for_memory(self, text):
        self.page.wait_for_selector(f".gc-memory:has-text('{text}')")

    def wait_until_writing(self):
        self.page.wait_for_selector(".gc-exchange.writing .gc-words:has-text('word3')")

    def stop(self):
        self.page.click("#stop")
        self.page.wait_for_selector(".gc-exchange.stopped")

    def stage(self):
        box = self.page.locator(".gv-stage").bounding_box()
        return box["x"], box["y"], box["width"], box["height"]

    def screenshot(self):
        """The stage as it is on the screen, RGB."""
        picture = Image.open(io.BytesIO(self.page.locator(".gv-stage").screenshot()))
        return np.asarray(picture.convert("RGB")).astype(int)

    def drag(self, start, end):
        """Drag between two points of the screen."""
        self.page.mouse.move(*start)
        self.page.mouse.down()
        self.page.mouse.move(*end, steps=4)
        self.page.mouse.up()

    def draw(self, start=(0.4, 0.4), end=(0.6, 0.6)):
        """Draw a region between two points, fractions of the stage."""
        self.page.click("[data-action=draw]")
        self.page.wait_for_selector(".gv[data-mode=draw]")
        left, top, width, height = self.stage()  # where it is once the page has settled
        self.drag(
            (left + width * start[0], top + height * start[1]),
            (left + width * end[0], top + height * end[1]),
        )
        self.page.wait_for_selector(".gv-region.chosen")

    def region(self):
        """Middle of the region and of its rotation knob, on the screen."""
        body = self.page.locator(".gv-region .over").bounding_box()
        knob = self.page.locator(".gv-region .knob").bounding_box()
        middle = body["x"] + body["width"] / 2, body["y"] + body["height"] / 2
        return middle, (knob["x"] + 7, knob["y"] + 7)

    def zoom(self):
        return float(self.page.locator(".gv-zoom").inner_text().strip(" %"))

    def words(self):
        return self.page.locator(".gc-exchange:last-child .gc-words").inner_text()

    def wait_for_notification(self, text):
        self.page.wait_for_selector(f".toast-body:has-text('{text}')")

    def click_tool(self, text):
        self.page.click(f".gc-exchange:last-child .gc-tools button:text-is('{text}')")

    def open_panel(self, title):
        self.page.click(f"#more button:has-text('{title}')")

    def export(self, kind):
        with self.page.expect_download() as download:
            self.page.click(f":is(#results, #exports) [data-kind={kind}]")
        return download.value

    def open_results(self):
        self.page.click(".gr-toggle")
        self.page.wait_for_selector(".gr-body")

    def rows(self):
        """Text of each row of the result table."""
        cells = self.page.locator("#results tbody tr").evaluate_all(
            "rows => rows.map(row => [...row.cells].slice(1).map(cell => cell.innerText.trim()))"
        )
        return [tuple(row) for row in cells]


def where_image_lies(pixels):
    """Left, top, right and bottom of `wide.png` on the stage: it has blue 80 and nothing around it has."""
    rows, columns = np.nonzero((abs(pixels[..., 2] - 80) < 6) & (pixels[..., 1] >= 56))
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def asked_box(engine):
    """The region of the last question, in the frame of the model's square."""
    return GEOCHAT.parse(engine.requests[-1].messages[-1].text).regions[0].box
