"""The Classify panel."""

import pytest

from geochat.errors import SettingsError
from geochat_serve import ServeSettings
from geochat_serve.classifying import SceneClassifier
from geochat_serve.gallery import open_sample


@pytest.fixture(scope="module")
def settings():
    return ServeSettings(port=0, concurrency=1)


def test_probabilities_of_the_named_classes():
    found = SceneClassifier().classify(open_sample("harbour.png").image, "forest, harbor,\nairplane, harbor,")
    assert list(found) == ["forest", "harbor", "airplane"]
    assert sum(found.values()) == pytest.approx(1)
    assert max(found, key=found.__getitem__) == "harbor"


@pytest.mark.parametrize(("text", "told"), [("", "no classes"), (" , ", "no classes"), ("forest", "one class")])
def test_too_few_classes(text, told):
    with pytest.raises(SettingsError, match=told):
        SceneClassifier().classify(open_sample("tanks.png").image, text)


def test_on_the_page_the_whole_or_what_is_in_view(user, pictures):
    user.page.click("#more button:has-text('Classify')")
    user.page.click("#classify-button")
    user.page.wait_for_selector(".toast-body:has-text('No image is open')")
    user.open_sample()
    user.page.fill("#classes textarea", "forest")
    user.page.click("#classify-button")
    user.page.wait_for_selector(".toast-body:has-text('one class')")
    user.page.fill("#classes textarea", "forest, airplane, harbor")
    user.page.click("#classify-button")
    user.page.wait_for_selector("#classified:has-text('whole image'):has-text('airplane'):has-text('%')")
    whole = user.page.locator("#classified").inner_text().split("\n")[1:]
    for _ in range(6):
        user.page.click("[data-do=in]")
    user.page.check("#look input")
    user.page.click("#classify-button")
    user.page.wait_for_selector("#classified:has-text('this view')")
    assert user.page.locator("#classified").inner_text().split("\n")[1:] != whole
    user.open(pictures / "wide.png")
    user.page.wait_for_selector("#classified:not(:has-text('%'))")


def test_it_stands_in_the_queue(people, engine, pictures):
    first, second = people(), people()
    first.open(pictures / "wide.png")
    second.open_sample()
    second.page.click("#more button:has-text('Classify')")
    first.ask("slow", wait=False)
    first.page.wait_for_selector(".gc-turn.writing")
    second.page.click("#classify-button")
    second.page.wait_for_selector("#classified:has-text('Waiting')")
    assert engine.running == 1
    first.page.click("#stop")
    second.page.wait_for_selector("#classified:has-text('%')")
    first.page.wait_for_selector(".gc-turn.stopped")
