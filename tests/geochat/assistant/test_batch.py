import pytest

from geochat import GeoChat, Task
from geochat.assistant import Answer, Question
from geochat.engines import EngineLimits, GenerationSettings, LocalEngine
from geochat.errors import ContextLengthError, ImageError, PromptError, RegionError
from geochat.imagery import open_image

WORDS = ["How many planes are there?", "near the harbor", "Is there a ship?"]
SHORT = GenerationSettings(max_new_tokens=8)


@pytest.fixture(scope="module")
def chat(checkpoint):
    return GeoChat(LocalEngine(checkpoint, EngineLimits(batch_rows=2)))


def texts(results):
    return [result.text for result in results]


def test_many_questions_about_one_image_are_answered_as_each_alone(chat, picture):
    alone = [chat.ask(picture, words, generation=SHORT).text for words in WORDS]
    assert texts(chat.ask_many(picture, WORDS, generation=SHORT)) == alone


def test_pairs_are_answered_as_each_alone(chat, picture, geotiff):
    pairs = [(geotiff, WORDS[0]), (picture, WORDS[1]), (255 - picture, WORDS[2]), (geotiff, WORDS[1])]
    alone = [chat.ask(image, words, generation=SHORT).text for image, words in pairs]
    results = chat.ask_many(pairs, generation=SHORT)
    assert texts(results) == alone
    assert [result.crs for result in results] == ["EPSG:26914", None, None, "EPSG:26914"]


def test_questions_do_not_see_each_other(chat_with, picture):
    chat = chat_with("a", "b", "c")
    assert texts(chat.ask_many(picture, WORDS)) == ["a", "b", "c"]
    assert [len(request.messages) for request in chat.engine.requests] == [1, 1, 1]


def test_a_question_may_have_its_own_task_regions_and_settings(chat_with, picture):
    chat = chat_with("a", "b", "c")
    own = Question("plane", regions=(20, 10, 60, 30), task=Task.IDENTIFY, generation=GenerationSettings(stop=("x",)))
    chat.ask_many(picture, ["white plane", own, Question("ship")], task=Task.REFER, generation=SHORT)
    assert chat.engine.prompts[0] == "[refer] Give me the location of <p> white plane </p>"
    assert chat.engine.prompts[1].startswith("[identify]")
    assert chat.engine.prompts[2] == "[refer] Give me the location of <p> ship </p>"
    assert [request.generation.stop for request in chat.engine.requests] == [(), ("x",), ()]


def test_what_fails_is_an_error_in_its_place(chat, picture, tmp_path):
    results = chat.ask_many(
        [
            (picture, WORDS[0]),
            (tmp_path / "absent.tif", WORDS[0]),
            (picture, Question(WORDS[0], regions=(900, 900, 990, 990))),
            (picture, ""),
            (picture, "near " * 300),
            (picture, WORDS[2]),
        ],
        generation=SHORT,
    )
    kinds = [Answer, ImageError, RegionError, PromptError, ContextLengthError, Answer]
    assert [type(result) for result in results] == kinds
    assert texts([results[0], results[5]]) == [chat.ask(picture, WORDS[i], generation=SHORT).text for i in (0, 2)]


def test_when_all_fail_all_are_errors(chat, picture):
    assert [type(result) for result in chat.ask_many(picture, ["", " "])] == [PromptError, PromptError]
    assert chat.ask_many(picture, []) == []


def test_one_image_that_cannot_be_read_is_raised(chat, tmp_path):
    with pytest.raises(ImageError, match=r"absent\.tif"):
        chat.ask_many(tmp_path / "absent.tif", WORDS)


def test_results_come_as_they_finish(chat, picture):
    long = Question(WORDS[0], generation=GenerationSettings(max_new_tokens=12))
    short = Question(WORDS[2], generation=GenerationSettings(max_new_tokens=2))
    assert [number for number, _ in chat.ask_each(picture, [long, short])] == [1, 0]


def test_questions_are_taken_as_they_are_needed(chat, picture):
    taken = []
    image = open_image(picture)
    pairs = ((image, taken.append(i) or WORDS[0]) for i in range(40))
    results = chat.ask_each(pairs, generation=GenerationSettings(max_new_tokens=1))
    next(results)
    assert len(taken) < 20
    assert len(list(results)) == 39


def test_a_cancelled_question_leaves_the_others_alone(chat, picture):
    unwanted = Question(WORDS[0])
    chat.cancel(unwanted.id)  # before its turn has come
    cancelled, other = chat.ask_many(picture, [unwanted, WORDS[1]], generation=SHORT)
    assert (cancelled.finish, cancelled.text) == ("cancelled", "")
    assert other.text == chat.ask(picture, WORDS[1], generation=SHORT).text


def test_what_a_question_says_itself_goes_before_what_is_said_for_all(chat_with, picture):
    chat = chat_with("a", "b")
    chat.ask_many(picture, [Question("plane", task="identify", regions=(20, 10, 60, 30)), "ship"], task="refer")
    assert [prompt.split("]")[0] for prompt in chat.engine.prompts] == ["[identify", "[refer"]
