"""The Classify panel."""

import pytest

from geochat.errors import SettingsError
from geochat_serve.classifying import SceneClassifier
from geochat_serve.scenes import open_sample


def test_probabilities_of_the_named_classes():
    found = SceneClassifier().classify(open_sample("harbour.png").image, "forest, harbor,\nairplane, harbor,")
    assert list(found) == ["forest", "harbor", "airplane"]
    assert sum(found.values()) == pytest.approx(1)
    assert max(found, key=found.__getitem__) == "harbor"


@pytest.mark.parametrize(("text", "told"), [("", "no classes"), (" , ", "no classes"), ("forest", "one class")])
def test_too_few_classes(text, told):
    with pytest.raises(SettingsError, match=told):
        SceneClassifier().classify(open_sample("tanks.png").image, text)


def classified(user):
    user.page.click("#classify-button")
    user.page.wait_for_selector("#classified:has-text('%')")
    return user.page.locator("#classified").inner_text()


def test_the_part_in_view_or_the_whole(user, pictures):
    user.open_sample()
    user.page.click("#more button:has-text('Classify')")
    user.page.fill("#classes textarea", "forest, airplane, harbor")
    whole = classified(user)
    assert "whole image" in whole
    for _ in range(6):
        user.page.click("[data-do=in]")
    user.page.check("#look input")
    user.page.click("#classify-button")
    user.page.wait_for_selector("#classified:has-text('this view')")
    assert user.page.locator("#classified").inner_text().split("\n")[1:] != whole.split("\n")[1:]
    user.open(pictures / "wide.png")
    user.page.wait_for_selector("#classified:has-text('%')", state="detached")


def test_it_stands_in_the_queue(people, engine, pictures):
    crowd = [people() for _ in range(3)]
    for user in crowd[:2]:
        user.open(pictures / "wide.png")
        user.ask("slow", wait=False)
        user.page.wait_for_selector(".gc-turn.writing")
    last = crowd[2]
    last.open_sample()
    last.page.click("#more button:has-text('Classify')")
    last.page.click("#classify-button")
    last.page.wait_for_selector("#classified:has-text('0 ahead')")
    assert engine.running == 2
    crowd[0].page.click("#stop")
    last.page.wait_for_selector("#classified:has-text('%')")
    crowd[1].page.click("#stop")
    crowd[1].page.wait_for_selector(".gc-turn.stopped")


def test_on_the_page(user):
    user.page.click("#more button:has-text('Classify')")
    user.page.click("#classify-button")
    user.page.wait_for_selector(".toast-body:has-text('No image is open')")
    user.open_sample()
    user.page.fill("#classes textarea", "forest, airplane, harbor")
    user.page.click("#classify-button")
    user.page.wait_for_selector("#classified:has-text('airplane'):has-text('%')")
    user.page.fill("#classes textarea", "forest")
    user.page.click("#classify-button")
    user.page.wait_for_selector(".toast-body:has-text('one class')")
