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
