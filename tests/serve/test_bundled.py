"""The page with the model that ships: from a click on the bundled scene to an answer."""

import pytest

from geochat import GeoChat
from geochat_serve import ServeSettings


@pytest.fixture(scope="module")
def engine():
    return GeoChat.from_pretrained().engine


@pytest.fixture(scope="module")
def settings():
    return ServeSettings(port=0, concurrency=1)


@pytest.mark.slow
def test_the_bundled_scene_is_classified(user, engine):
    user.page.set_default_timeout(60_000)
    user.open_sample()
    user.ask("", "Classify")
    assert user.page.locator(".gc-turn.done").count() == 1
    assert user.words().strip().lower() in engine.info.settings.scene_classes
    assert engine.info.name in user.page.locator(".gb-model").inner_text()
