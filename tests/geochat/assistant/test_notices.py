"""What a user is told beside the answer."""

import numpy as np
import pytest
import rasterio
from affine import Affine

from geochat.models import Settings

FINE = Settings(name="fine", ground_resolution=(0.15, 0.6))


def codes(answer):
    return [notice.code for notice in answer.notices]


@pytest.fixture
def placed(tmp_path):
    def write(metres, side=504):
        path = tmp_path / f"{metres}-{side}.tif"
        place = {"transform": Affine(metres, 0, 500_000, 0, -metres, 5_200_000), "crs": "EPSG:26914"}
        with rasterio.open(path, "w", "GTiff", side, side, 3, dtype="uint8", **place) as target:
            target.write(np.random.default_rng(0).integers(0, 255, (3, side, side), np.uint8))
        return path

    return write


def test_a_ground_resolution_far_from_the_models_is_told(chat_with, placed):
    answer = chat_with("2 buildings and a car", settings=FINE).ask(placed(90), "What is there?")
    assert codes(answer) == ["ground-resolution"]
    assert "90 m a pixel" in answer.notices[0].text
    assert "guesses" in answer.notices[0].text
    assert answer.to_dict()["notices"][0]["code"] == "ground-resolution"


def test_a_finer_image_that_is_shrunk_is_told_which_part_to_ask_about(chat_with, placed):
    answer = chat_with("x", settings=FINE).ask(placed(0.3, 5040), "What is there?")
    assert codes(answer) == ["ground-resolution"]
    assert "1008 x 1008" in answer.notices[0].text


def test_what_the_model_was_trained_on_needs_no_notice(chat_with, placed):
    assert codes(chat_with("x", settings=FINE).ask(placed(0.3), "What is there?")) == []


def test_a_shrunk_image_without_a_place_is_told(chat_with):
    answer = chat_with("x").ask(np.zeros((1600, 2100, 3), np.uint8), "What is there?")
    assert codes(answer) == ["shrunk"]
    assert "4.17-fold" in answer.notices[0].text


def test_nothing_found_in_a_shrunk_view_says_what_to_do(chat_with):
    answer = chat_with("There is no ship.").ask(np.zeros((1600, 2100, 3), np.uint8), "the ship", task="refer")
    assert codes(answer) == ["shrunk", "nothing-found"]
    assert "1008 x 1008" in answer.notices[1].text


def test_a_region_smaller_than_a_patch_is_looked_at_in_a_window(chat_with):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (3000, 4000, 3), np.uint8)
    chat = chat_with("airplane")
    answer = chat.ask(image, "", task="identify", regions=[(3000, 200, 3040, 230)])
    assert "region-window" in codes(answer)
    assert answer.image.window.width == 504
    column, row = answer.image.window[:2]
    shown = np.asarray(chat.engine.requests[0].images[0])
    assert np.array_equal(shown, image[row : row + 504, column : column + 504])
    assert answer.asked[0].pixels[0] == (3000, 200)  # where it was asked, in the whole image
    box = answer.asked[0].box
    assert box.transform(answer.image.frame.model_to_image).iou(answer.asked[0].geometry) > 0.99
    assert "<0>" not in answer.prompt


def test_a_window_the_view_is_no_larger_than_is_not_looked_at(chat_with, picture):
    answer = chat_with("airplane").ask(picture, "", task="identify", regions=[(100, 50, 101, 51)])
    assert "region-too-small" in codes(answer)


def test_windowed_turns_are_not_repeated_about_another_view(chat_with):
    chat = chat_with("airplane", "two")
    conversation = chat.start(np.zeros((3000, 4000, 3), np.uint8))
    conversation.ask("", task="identify", regions=[(3000, 200, 3040, 230)])
    conversation.ask("How many?")
    assert len(chat.engine.requests[1].messages) == 1


@pytest.mark.parametrize(
    ("wrote", "code"),
    [("", "empty"), ("a {<1><2>} b", "unreadable")],
)
def test_what_is_wrong_with_an_answer_is_told(chat_with, picture, wrote, code):
    assert codes(chat_with(wrote).ask(picture, "Where?")) == [code]
