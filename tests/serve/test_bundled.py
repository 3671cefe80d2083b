"""The page with the model that ships: from a click on a bundled scene to an answer."""

import json
from importlib.resources import files

import pytest

from geochat import Client, GeoChat
from geochat_serve import ServeSettings, serve


@pytest.fixture(scope="module")
def server():
    with serve(GeoChat.from_pretrained(), ServeSettings(port=0, concurrency=1)) as running:
        yield running


@pytest.mark.slow
def test_a_bundled_scene_is_classified_and_searched_in_spite_of_a_region(user, server):
    info = server.answers.chat.engine.info
    user.open_sample()
    assert info.name in user.page.locator(".gb-model").inner_text()
    user.ask("", "Classify")
    assert user.words().strip().lower() in info.settings.scene_classes
    assert "on its own" in user.page.locator(".gc-memory").inner_text()
    user.draw((0.7, 0.7), (0.8, 0.8))
    user.ask("the airplane", "Find")
    assert user.page.locator(".gc-exchange:last-child .gc-notice[data-code=region-not-used]").count() == 1
    assert user.page.locator(".gv-box").count() >= 1


@pytest.mark.slow
def test_the_http_api_answers_as_the_facade(server):
    path = files("geochat") / "samples" / "airport.tif"
    questions = [("where are the planes?", "auto"), ("airport, harbor", "scene"), ("is it safe to land?", "auto")]
    with Client(server.url) as client:
        for words, task in questions:
            remote = client.ask(path, words, task=task).to_dict()
            local = server.answers.chat.ask(path, words, task=task).to_dict()
            assert remote | {"seconds": 0} == near(json.loads(json.dumps(local)) | {"seconds": 0})


def near(value):
    """A value that equals another but for rounding: an image that is seen again is read from the cache."""
    if isinstance(value, dict):
        return {key: near(item) for key, item in value.items()}
    if isinstance(value, list):
        return [near(item) for item in value]
    return pytest.approx(value, abs=1e-5) if isinstance(value, float) else value
