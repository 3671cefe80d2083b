"""`GeoChat.find`: everything between a scene and its objects, with a model that knows what is there."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import shapely

from geochat.errors import GeoChatError, PromptError, SettingsError
from geochat.geometry import OrientedBox
from geochat.imagery import Scene
from geochat.models import BoxConfidence, Settings

OPTIONS = {"window": 256, "overlap": 96}


def matches(found, known):
    """For each known box the number of found ones that overlap it by nine tenths."""
    shapes = [each.polygon for each in found]
    counts = []
    for box in known:
        true = shapely.Polygon(_corners(box))
        overlaps = [shape.intersection(true).area / shape.union(true).area for shape in shapes]
        counts.append(sum(overlap > 0.9 for overlap in overlaps))
    return counts


def _corners(box):
    return OrientedBox(*box.tolist()).corners()


def test_each_object_is_found_once(oracle, coded, known):
    finding = oracle(known).find(coded(900, 700), ["ship", "tank"], **OPTIONS)
    found = list(finding)
    assert finding.complete
    assert (finding.progress.done, finding.progress.total, finding.progress.found) == (24, 24, 7)
    for phrase, true in known.items():
        assert matches([each for each in found if each.phrase == phrase], true) == [1] * len(true)
    assert len(found) == 7
    assert [each.pieces > 1 for each in found].count(True) == 1
    assert all(each.score == pytest.approx(np.exp(-0.1)) for each in found)
    assert list(finding.objects()) == found
    assert not list(finding.not_looked_at())


def test_the_questions_about_a_window_stand_together(oracle, coded, known):
    chat = oracle(known)
    list(chat.find(coded(900, 700), ["ship", "tank"], **OPTIONS))
    windows = [window for window, _ in chat.engine.asked]
    assert windows[::2] == windows[1::2]
    assert max(Counter(chat.engine.asked).values()) == 1


def test_a_window_gets_the_answer_it_gets_from_ask(oracle, coded, known):
    scene, chat = Scene.open(coded(900, 700)), oracle(known)
    found = list(chat.find(scene, "tank", **OPTIONS))
    answer = chat.ask(scene.read(found[0].window), "tank", task="refer")
    assert answer.regions[0].geometry.center == pytest.approx(found[0].box.center, abs=1e-3)


def test_windows_of_several_sizes_and_the_whole_image(oracle, coded, known):
    finding = oracle(known).find(coded(900, 700), ["ship"], **OPTIONS, scales=(1, 2), whole=True)
    assert len(finding.look.plan.grids) == 3
    assert matches(list(finding), known["ship"]) == [1] * len(known["ship"])


@pytest.mark.parametrize("dialect", ["geochat", "fine"])
@pytest.mark.parametrize(("window", "overlap"), [(250, 50), (300, 100), (450, 0.25)])
def test_windows_that_do_and_do_not_divide_the_scene(oracle, coded, truth, dialect, window, overlap):
    corners = truth.boxes(
        (0, 0, 40, 30), (460, 0, 500, 30), (0, 470, 40, 500), (460, 470, 500, 500), (230, 230, 270, 260)
    )
    found = list(
        oracle({"ship": corners}, dialect=dialect).find(coded(500, 500), "ship", window=window, overlap=overlap)
    )
    assert len(found) == len(corners)
    shapes = [each.polygon for each in found]
    for box in corners:
        true = shapely.Polygon(_corners(box))
        assert max(shape.intersection(true).area / shape.union(true).area for shape in shapes) > 0.7


def test_the_area_alone_is_looked_at(oracle, coded, known, tmp_path):
    chat = oracle(known)
    area = shapely.box(480, 80, 600, 160)
    finding = chat.find(coded(900, 700), "ship", **OPTIONS, area=area)
    found = list(finding)
    assert matches(found, known["ship"]) == [0, 0, 1, 1, 0]
    assert {window for window, _ in chat.engine.asked} == {(320, 0, 576, 256), (480, 0, 736, 256)}
    assert {row.properties["reason"] for row in finding.not_looked_at()} == {"outside the area"}
    assert len(list(finding.not_looked_at())) == 22


def test_windows_without_data_are_skipped_and_told(oracle, coded, write_scene, known):
    pixels = coded(900, 700)
    pixels[:, 416:] = 255  # no data
    scene = write_scene(900, 700, nodata=255, pixels=pixels)
    chat = oracle(known)
    finding = chat.find(scene, "ship", **OPTIONS)
    list(finding)
    assert finding.complete
    reasons = Counter(row.properties["reason"] for row in finding.not_looked_at())
    assert reasons == {"no data": 12}
    assert max(window[0] for window, _ in chat.engine.asked) < 416


def test_windows_that_fail_are_asked_again_and_then_recorded(oracle, coded, known):
    chat, tried = oracle(known), Counter()

    def failing(window, _):
        tried[window] += 1
        return window[:2] == (0, 0) or (window[:2] == (160, 0) and tried[window] == 1)

    chat.engine.failing = failing
    finding = chat.find(coded(900, 700), "ship", **OPTIONS)
    found = list(finding)
    assert finding.complete
    assert finding.progress.failed == 1
    assert [(row.properties["window"], row.properties["reason"]) for row in finding.not_looked_at()] == [
        ([0, 0, 256, 256], "failed: the model failed on (0, 0, 256, 256)")
    ]
    assert tried[(0, 0, 256, 256)] == tried[(160, 0, 416, 256)] == 2
    assert matches(found, known["ship"])[2] == 1


def test_an_engine_that_answers_nothing_ends_the_search(oracle, coded, known):
    chat = oracle(known)
    chat.engine.failing = lambda *_: True
    with pytest.raises(GeoChatError, match="last 50 windows got no answer: the model failed"):
        list(chat.find(coded(900, 900), "ship", window=100))


def test_enough_is_enough(oracle, coded, known):
    chat = oracle(known)
    finding = chat.find(coded(900, 700), "ship", **OPTIONS, limit=2)
    assert len(list(finding)) == 2
    assert finding.complete
    assert len(chat.engine.asked) < 24
    assert len(list(finding.objects())) == 2
    assert "not reached" in {row.properties["reason"] for row in finding.not_looked_at()}


def test_objects_of_a_low_score_are_left_out(oracle, coded, known):
    assert not list(oracle(known).find(coded(900, 700), "ship", **OPTIONS, min_score=0.95))
    assert len(list(oracle(known).find(coded(900, 700), "ship", **OPTIONS, min_score=0.85))) == len(known["ship"])


def test_a_calibrated_model_scores_boxes_by_probability_and_leaves_improbable_ones_out(oracle, coded, known):
    calibration = BoxConfidence(bias=0.0, score=1.0, size=2.0, largest=1.0, minimum=0.05)
    everything = list(oracle(known, box_confidence=calibration).find(coded(900, 700), "ship", **OPTIONS, min_score=0))
    whole = [each for each in everything if each.pieces == 1]
    assert len(everything) == len(known["ship"])
    for each in whole:
        side = max(each.box.width, each.box.height) / 256
        assert each.score == pytest.approx(calibration.probability(np.exp(-0.1), side, None), rel=1e-3)
    least = min(each.score for each in everything)
    stricter = replace(calibration, minimum=least + 1e-6)
    finding = oracle(known, box_confidence=stricter).find(coded(900, 700), "ship", **OPTIONS)
    assert len(list(finding)) < len(everything)
    assert finding.provenance["min_score"] == least + 1e-6


def test_too_many_boxes_are_cut_off_and_told(oracle, coded, truth):
    many = truth.boxes(*((x, y, x + 8, y + 8) for x in range(10, 240, 20) for y in range(10, 240, 20)))
    chat = oracle({"ship": many})
    finding = chat.find(coded(256, 256), "ship", max_boxes=5)
    assert len(list(finding)) == 5
    assert [row.properties["reason"] for row in finding.not_looked_at()] == ["an answer was cut off"]


def test_a_model_that_repeats_a_box_is_stopped(chat_with):
    box = "{<10><10><30><30>|<90>}"
    answer = "<p>ship</p> " + "<delim>".join(["{<50><50><60><60>|<90>}", *[box] * 40])
    chat = chat_with(answer, settings=Settings(name="loops"))
    finding = chat.find(np.zeros((200, 200, 3), np.uint8), "ship")
    assert len(list(finding)) == 2
    assert chat.engine.cancelled
    assert [row.properties["reason"] for row in finding.not_looked_at()] == ["an answer repeated itself"]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("<p>ship</p> {<10><10><10><30>|<90>}", "a box has no area"),
        ("<p>ship</p> {<10><10><40>|<90>}", "an answer could not be read"),
    ],
)
def test_what_cannot_be_placed_is_told(chat_with, answer, reason):
    finding = chat_with(answer, settings=Settings(name="odd")).find(np.zeros((200, 200, 3), np.uint8), "ship")
    assert not list(finding)
    assert [row.properties["reason"] for row in finding.not_looked_at()] == [reason]


def test_what_the_model_calls_by_another_name_is_left_out(chat_with):
    answer = "<p>building</p> {<10><10><40><30>|<90>} <p>ship</p> {<50><50><60><60>|<90>}"
    finding = chat_with(answer, settings=Settings(name="odd")).find(np.zeros((200, 200, 3), np.uint8), "ship")
    assert [each.box.center for each in finding] == [(110, 110)]
    assert finding.others == 1


@pytest.mark.parametrize(
    ("phrases", "options", "error", "message"),
    [
        ([], {}, PromptError, "nothing to find"),
        ([" "], {}, PromptError, "nothing to find"),
        (["ship"], {"max_boxes": 0}, SettingsError, "max_boxes=0"),
        (["ship"], {"limit": 0}, SettingsError, "limit=0"),
        (["ship"], {"iou": 0}, SettingsError, "iou=0"),
        (["ship"], {"window": 3}, SettingsError, "too small"),
    ],
)
def test_impossible_searches(oracle, coded, known, phrases, options, error, message):
    with pytest.raises(error, match=message):
        oracle(known).find(coded(300, 300), phrases, **options)


def test_a_phrase_outside_the_model_s_scope_is_refused_before_anything_is_read(oracle, coded, known):
    chat = oracle(known, trained_wordings=True, categories=("airplane",))
    with pytest.raises(PromptError):
        chat.find(coded(300, 300), "the meaning of life")
    assert not chat.engine.asked
