import json
from dataclasses import asdict, replace

import pytest
from affine import Affine

import geochat
from geochat import Task
from geochat.dialects import Phrase, Region, Text
from geochat.engines import GenerationSettings
from geochat.errors import ImageError, PromptError, RegionError
from geochat.geometry import AngleConvention
from geochat.imagery import open_image
from geochat.models import Settings

PLANE = "There is <p>1 plane</p> {<10><30><30><40>|<90>} here."


def corners(quadrilateral):
    return [pytest.approx(point, abs=1e-6) for point in quadrilateral]


def test_an_answer_speaks_every_frame(chat_with, geotiff):
    answer = chat_with(PLANE).ask(geotiff, "[grounding] Describe the image.")
    (region,) = answer.regions
    assert (answer.text, answer.plain_text) == (PLANE, "There is 1 plane here.")
    assert region.phrase == "1 plane"
    # 20 x 10 percent about (20, 35), turned by 90 degrees: 10 wide, 20 high; then percent to pixels by two.
    assert sorted(region.pixels) == corners([(30, 0), (30, 40), (50, 0), (50, 40)])
    assert sorted(region.map) == corners(
        [(500_150, 5_199_800), (500_150, 5_200_000), (500_250, 5_199_800), (500_250, 5_200_000)]
    )
    assert answer.problems == ()
    assert (answer.finish, answer.usage.prompt_tokens) == ("stop", 7)


def test_without_a_crs_there_is_no_map(chat_with, picture):
    answer = chat_with(PLANE).ask(picture, "Where?")
    assert answer.regions[0].map is None
    assert answer.crs is None
    json.dumps(answer.to_dict(), allow_nan=False)


def test_the_dictionary_has_its_documented_shape(chat_with, geotiff):
    value = chat_with(PLANE).ask(geotiff, "Where?").to_dict()
    assert set(value) >= {"text", "plain_text", "regions", "crs", "image", "model", "usage", "seconds", "tokens"}
    assert set(value) >= {"question", "task", "prompt", "asked", "choices", "choice", "choice_method", "notices"}
    (region,) = value["regions"]
    assert region["phrase"] == "1 plane"
    assert region["box"] == [10, 30, 30, 40, 90]
    assert [len(point) for point in region["pixels"] + region["map"]] == [2] * 8
    assert value["crs"] == "EPSG:26914"
    assert value["image"] == {
        "width": 200,
        "height": 100,
        "path": str(geotiff),
        "window": [0, 0, 200, 100],
        "bands": [1, 2, 3],
        "stretch": asdict(open_image(geotiff).stretch),
        "metres_a_pixel": pytest.approx(5, rel=1e-2),
        "image_to_map": [5, 0, 500_000, 0, -5, 5_200_000],
    }
    assert value["model"] == "scripted"
    assert value["usage"] == {"prompt_tokens": 7, "completion_tokens": len(PLANE)}
    assert value["seconds"] >= 0
    json.dumps(value, allow_nan=False)


def test_a_window_is_answered_in_whole_image_pixels(chat_with, geotiff):
    chat = chat_with("{<0><0><50><100>}")
    answer = chat.ask(geotiff, "Where?", window=(100, 20, 80, 80))
    assert sorted(answer.regions[0].pixels) == corners([(100, 20), (100, 100), (140, 20), (140, 100)])
    assert chat.engine.requests[0].images[0].size == (80, 80)


def test_a_cropping_checkpoint_is_framed_as_it_sees(chat_with, picture):
    chat = chat_with("{<0><0><100><100>}", settings=Settings(fit="crop"))
    answer = chat.ask(picture, "Where?")
    assert sorted(answer.regions[0].pixels) == corners([(50, 0), (50, 100), (150, 0), (150, 100)])


def test_the_convention_of_the_checkpoint_is_used_both_ways(chat_with, picture):
    settings = Settings(convention=AngleConvention("counterclockwise", "[0,90)"))
    chat = chat_with("{<10><30><30><40>|<20>}", settings=settings)
    answer = chat.ask(picture, "What?", regions=[(20, 10, 60, 30, -20)])
    assert answer.regions[0].box.angle == -20
    assert chat.engine.prompts == ["[identify] What? {<10><30><30><40>|<20>}"]


def test_regions_and_task_reach_the_prompt(chat_with, picture):
    chat = chat_with("a", "b")
    chat.ask(picture, "What is this?", regions=[(20, 10, 60, 30)])
    chat.ask(picture, "white plane", task=Task.REFER)
    assert chat.engine.prompts == [
        "[identify] What is this? {<10><30><20><50>|<90>}".replace("<10><30><20><50>", "<15><25><25><45>"),
        "[refer] Give me the location of <p> white plane </p>",
    ]


def test_an_answer_exported_from_one_question_can_be_asked_about(chat_with, geotiff, picture):
    for source in (geotiff, picture):
        chat = chat_with(PLANE, "a plane")
        answer = chat.ask(source, "Where?")
        again = chat.ask(source, "What?", regions=answer.to_geojson())
        assert again.prompt == "[identify] What? {<10><30><30><40>|<90>}"


def test_malformed_markup_is_kept_and_reported(chat_with, picture):
    answer = chat_with("a {<1><2>} b {<999999999><0><5><5>}").ask(picture, "Where?")
    assert len(answer.problems) == 1
    assert len(answer.regions) == 1
    answer.draw()
    json.dumps(answer.to_geojson(), allow_nan=False)


def test_provenance_says_where_it_came_from(chat_with, geotiff):
    answer = chat_with(PLANE).ask(geotiff, "Where?", window=(0, 0, 50, 50), bands=(3, 2, 1))
    provenance = answer.provenance
    assert provenance["model_sha256"] == "0" * 64
    assert provenance["image"] == str(geotiff)
    assert len(provenance["image_sha256"]) == 64
    assert provenance["bands"] == [3, 2, 1]
    assert provenance["window"] == [0, 0, 50, 50]
    assert provenance["prompt"] == "Where?"
    assert provenance["stretch"]["method"] == "none"
    json.dumps(provenance, allow_nan=False)


def test_a_stream_gives_events_and_then_the_answer(chat_with, picture):
    stream = chat_with(PLANE).stream(picture, "Where?")
    with pytest.raises(RuntimeError, match="still being written"):
        _ = stream.answer
    events = list(stream)
    assert [type(event) for event in events if not isinstance(event, Text)] == [Phrase, Region]
    assert stream.answer.text == PLANE
    assert stream.wait() is stream.answer


def test_a_conversation_remembers(chat_with, picture):
    chat = chat_with("two planes", "white", PLANE)
    conversation = chat.start(picture)
    answers = [conversation.ask(question) for question in ("How many?", "Which colour?", "[refer] the left one")]
    assert conversation.history == tuple(answers)
    last = chat.engine.requests[-1].messages
    assert [message.role for message in last] == ["user", "assistant", "user", "assistant", "user"]
    assert [message.text for message in last[:4]] == ["How many?", "two planes", "Which colour?", "white"]


@pytest.mark.parametrize(("turns", "kept"), [(None, 3), (2, 2), (0, 0), (9, 3)])
def test_as_many_turns_are_kept_in_mind_as_the_model_was_trained_for(chat_with, picture, turns, kept):
    chat = chat_with("a", "b", "c", "d", settings=Settings(earlier_turns=turns))
    conversation = chat.start(picture)
    for question in ("1?", "2?", "3?", "4?"):
        conversation.ask(question)
    last = [message.text for message in chat.engine.requests[-1].messages]
    assert last[:-1] == ["1?", "a", "2?", "b", "3?", "c"][6 - 2 * kept :]
    assert len(conversation.history) == 4


def test_an_abandoned_stream_leaves_no_trace(chat_with, picture):
    conversation = chat_with("two planes", "white").start(picture)
    next(iter(conversation.stream("How many?")))
    assert conversation.history == ()
    conversation.ask("Which colour?")
    assert len(conversation.history) == 1


def test_a_cancelled_answer_keeps_what_was_written(chat_with, picture):
    conversation = chat_with("two planes and a ship").start(picture)
    stream = conversation.stream("How many?")
    for _ in stream:
        stream.cancel()
    assert stream.answer.finish == "cancelled"
    assert "two planes and a ship".startswith(stream.answer.text)
    assert conversation.history == (stream.answer,)


def test_an_empty_answer_is_not_repeated_to_the_model(chat_with, picture):
    chat = chat_with("", "white")
    conversation = chat.start(picture)
    assert conversation.ask("How many?").text == ""
    conversation.ask("Which colour?")
    assert [message.text for message in chat.engine.requests[-1].messages] == ["Which colour?"]


def test_generation_settings_reach_the_engine(chat_with, picture):
    chat = chat_with("a", "b")
    chat.ask(picture, "Where?", generation=GenerationSettings(max_new_tokens=3))
    chat.ask(picture, "Where?")
    assert [request.generation.max_new_tokens for request in chat.engine.requests] == [3, 512]


def test_an_opened_image_is_taken_as_it_is(chat_with, picture):
    image = open_image(picture)
    chat = chat_with("a")
    assert chat.ask(image, "Where?").image.sha256 == image.sha256
    with pytest.raises(ImageError, match="already opened"):
        chat.start(image, window=(0, 0, 5, 5))


def test_errors_come_before_anything_is_computed(chat_with, picture):
    chat = chat_with()
    with pytest.raises(PromptError, match="empty"):
        chat.ask(picture, "  ")
    with pytest.raises(RegionError, match="region 1"):
        chat.ask(picture, "What?", regions=[(900, 900, 999, 999)])
    with pytest.raises(ImageError, match="window"):
        chat.ask(picture, "What?", window=(0, 0, 900, 900))
    assert chat.engine.requests == []


def test_a_geotransform_without_a_crs_is_not_a_place(chat_with, picture):
    image = open_image(picture)
    placed = replace(image, frame=replace(image.frame, image_to_map=Affine.scale(2)))
    answer = chat_with(PLANE).ask(placed, "Where?")
    assert answer.crs is None
    assert answer.regions[0].map is None


def test_an_answer_taken_back_was_never_given(chat_with, picture):
    chat = chat_with("one", "two", "three")
    talk = chat.start(picture)
    first, second = talk.ask("first?"), talk.ask("second?")
    talk.take_back(second)
    talk.take_back(second)
    assert talk.history == (first,)
    talk.ask("third?")
    assert [message.text for message in chat.engine.requests[-1].messages] == ["first?", "one", "third?"]


def test_a_turn_of_another_conversation_is_remembered(chat_with, picture):
    chat = chat_with(PLANE, "next")
    given = chat.ask(picture, "Where?")
    talk = chat.start(picture)
    remembered = talk.remember("Where?", given.prompt, given.text)
    assert [region.pixels for region in remembered.regions] == [region.pixels for region in given.regions]
    assert remembered.regions[0].score is None
    talk.ask("And?")
    assert [message.text for message in chat.engine.requests[-1].messages] == [given.prompt, given.text, "And?"]
    with pytest.raises(PromptError, match="<image>"):
        talk.remember("x", "x <image>", "y")


def test_the_front_door_is_complete():
    for name in geochat.__all__:
        assert getattr(geochat, name) is not None
