"""The page where all slots are taken."""

import pytest

from geochat import GeoChat
from geochat_serve import ServeSettings, serve

pytestmark = pytest.mark.slow


@pytest.fixture
def engine(engine):
    """An engine of this test's own, which has run nothing."""
    return type(engine)()


@pytest.fixture
def server(engine):
    """A server that computes two answers at a time, in place of the usual one for all tests."""
    with serve(GeoChat(engine), ServeSettings(port=0, concurrency=2)) as running:
        yield running


def test_users_who_wait_see_their_position(people, engine, pictures):
    crowd = [people() for _ in range(4)]
    for user in crowd:
        user.open(pictures / "wide.png")
    for user in crowd:
        user.ask("slow", wait=False)
    crowd[2].page.wait_for_selector(".gc-exchange.waiting")
    crowd[3].page.wait_for_selector(".gc-exchange.waiting:has-text('1 question ahead')")
    assert engine.most_running <= 2
    crowd[3].stop()
    crowd[0].page.click("#stop")
    crowd[2].page.wait_for_selector(".gc-exchange.writing")
    for user in crowd[1:3]:
        user.stop()


def test_classification_waits_in_the_queue(people, pictures):
    busy, waiting = [people(), people()], people()
    for user in busy:
        user.open(pictures / "wide.png")
        user.ask("slow", wait=False)
        user.page.wait_for_selector(".gc-exchange.writing")
    waiting.open_sample()
    waiting.open_panel("Zero-shot classification")
    waiting.page.click("#classify-button")
    waiting.page.wait_for_selector("#classified:has-text('Waiting')")
    busy[0].stop()
    waiting.page.wait_for_selector("#classified:has-text('%')")
    busy[1].stop()
