"""An engine that writes what the test says, so that everything around generation is tested without a model."""

import threading

import numpy as np
import pytest


class ScriptedEngine:
    """Writes the given answers one after the other, in pieces of three characters; remembers what it was asked."""

    name = "scripted"
    sha256 = "0" * 64
    image_size = 504

    def __init__(self, *answers, settings):
        self.answers = list(answers)
        self.settings = settings
        self.requests = []

    def stream(self, request, cancel=None):
        self.requests.append(request)
        return self._write(self.answers.pop(0), cancel or threading.Event())

    def generate(self, request):
        from geochat.engines import complete

        return complete(self.stream(request))

    def _write(self, text, cancel):
        from geochat.engines import Chunk, Usage

        for start in range(0, len(text), 3):
            if cancel.is_set():
                yield Chunk("", "cancelled", Usage(7, start))
                return
            yield Chunk(text[start : start + 3])
        yield Chunk("", "stop", Usage(7, len(text)))

    @property
    def prompts(self):
        return [request.messages[-1].text for request in self.requests]


@pytest.fixture
def chat_with():
    """`chat_with("first answer", "second answer")` is a `GeoChat` that gives them."""
    from geochat import GeoChat
    from geochat.checkpoints import Settings

    def build(*answers, settings=None):
        return GeoChat(ScriptedEngine(*answers, settings=settings or Settings(name="scripted")))

    return build


@pytest.fixture
def picture():
    """200 x 100 pixels without a place on Earth; the model's square is 200 pixels, 50 above and below are padding."""
    return np.full((100, 200, 3), 90, np.uint8)


@pytest.fixture
def geotiff(tmp_path, picture):
    """The same picture in UTM 14N, 5 m pixels, north up."""
    import rasterio
    from affine import Affine

    path = tmp_path / "scene.tif"
    place = {"transform": Affine(5, 0, 500_000, 0, -5, 5_200_000), "crs": "EPSG:26914"}
    with rasterio.open(path, "w", driver="GTiff", width=200, height=100, count=3, dtype="uint8", **place) as target:
        target.write(picture.transpose(2, 0, 1))
    return path
