"""Zero-shot classification on the page."""

import pytest

from geochat.errors import SettingsError
from geochat_serve.open_scene import open_sample
from geochat_serve.web.image import SceneClassifier


def test_probabilities_of_the_named_classes():
    with open_sample("harbour.png") as scene:
        found = SceneClassifier().classify(scene.overview, "forest, harbor,\nairplane, harbor,")
    assert list(found) == ["forest", "harbor", "airplane"]
    assert sum(found.values()) == pytest.approx(1)
    assert max(found, key=found.__getitem__) == "harbor"


@pytest.mark.parametrize(("text", "message"), [("", "no classes"), (" , ", "no classes"), ("forest", "one class")])
def test_too_few_classes(text, message):
    with open_sample("tanks.png") as scene, pytest.raises(SettingsError, match=message):
        SceneClassifier().classify(scene.overview, text)


def classify(user, classes):
    user.page.fill("#classes textarea", classes)
    user.page.click("#classify-button")


def shares(user):
    return user.page.locator("#classified").inner_text().split("\n")[1:]


@pytest.mark.slow
def test_the_whole_image_or_the_visible_area(user, pictures):
    user.open_panel("Zero-shot classification")
    classify(user, "forest, harbor")
    user.wait_for_notification("No image is open")
    user.open_sample()
    classify(user, "forest")
    user.wait_for_notification("one class")
    classify(user, "forest, airplane, harbor")
    user.page.wait_for_selector("#classified:has-text('whole image'):has-text('airplane'):has-text('%')")
    whole = shares(user)
    for _ in range(6):
        user.page.click("[data-action=in]")
    user.page.check("#visible-only input")
    user.page.click("#classify-button")
    user.page.wait_for_selector("#classified:has-text('visible area')")
    assert shares(user) != whole
    user.open(pictures / "wide.png")
    user.page.wait_for_selector("#classified:not(:has-text('%'))")
