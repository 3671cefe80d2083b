"""What people type, held against a checkpoint that understands trained wordings only."""

import json
import math
from dataclasses import replace

import pytest

from geochat import GeoChat
from geochat.dialects import Text
from geochat.engines import ChoiceScore, Chunk, Usage
from geochat.errors import PromptError
from geochat.models import Capabilities, Settings

KNOWN = Settings(
    name="narrow",
    categories=("airplane", "car", "ship", "storage tank"),
    scene_classes=("airplane", "harbor", "forest", "parking lot"),
    trained_wordings=True,
)
VQA = "\nAnswer the question using a single word or phrase."
SCENE = "Classify the image within one of the given classes: {}. Answer with one word or short phrase."


class Scoring:
    """An engine that scores choices: by `logprobs`, else the one that holds `likely` is likeliest."""

    def __init__(self, chat, likely, logprobs=None):
        self._inner, self._likely, self._logprobs = chat.engine, likely, logprobs

    def __getattr__(self, name):
        return getattr(self._inner, name)

    def stream(self, request):
        if not request.choices:
            yield from self._inner.stream(request)
            return
        self._inner.requests.append(request)
        logprobs = self._logprobs or [-1.0 if self._likely in text else -3.0 for text in request.choices]
        total = sum(map(math.exp, logprobs))
        pairs = zip(request.choices, logprobs, strict=True)
        scores = tuple(ChoiceScore(text, logprob, math.exp(logprob) / total) for text, logprob in pairs)
        best = max(scores, key=lambda score: score.logprob)
        yield Chunk(best.text, "stop", Usage(1, 1), choices=scores)


@pytest.fixture
def narrow(chat_with):
    return lambda *answers: chat_with(*answers, settings=KNOWN)


@pytest.mark.parametrize(
    ("typed", "asked"),
    [
        ("How many airplanes are in the image?", "How many airplanes"),
        ("how many planes r there", "airplanes"),
        ("Is there a car?", "car"),
        ("any ships?", "ship"),
    ],
)
def test_counts_and_presence_are_asked_as_trained(narrow, picture, typed, asked):
    chat = narrow("1")
    answer = chat.ask(picture, typed)
    assert chat.engine.prompts[0].endswith(VQA)
    assert asked in chat.engine.prompts[0]
    assert any(notice.code == "understood" for notice in answer.notices)


@pytest.mark.parametrize("typed", ["[refer] the airplane", "where is the airplane?", "find the plane"])
def test_a_phrase_is_wrapped(narrow, picture, typed):
    chat = narrow("<p>the airplane</p> {<10><20><30><40>|<90>}")
    answer = chat.ask(picture, typed)
    assert chat.engine.prompts == ["[refer] Give me the location of <p> the airplane </p>"]
    assert answer.regions[0].as_asked is True


@pytest.mark.parametrize("typed", ["hello", "is it safe to land?", "what is the capital of France?"])
def test_out_of_scope_gets_one_honest_sentence_and_no_model(narrow, picture, typed):
    chat = narrow()
    answer = chat.ask(picture, typed)
    assert chat.engine.requests == []
    assert answer.text.count(".") <= 2
    assert "airplane" in answer.text
    assert answer.to_dict()["in_scope"] is False
    assert [found.text for found in chat.ask_many(picture, [typed])] == [answer.text]


def test_an_out_of_scope_turn_is_not_repeated_to_the_model(narrow, picture):
    chat = narrow("2")
    conversation = chat.start(picture)
    conversation.ask("hello")
    conversation.ask("How many airplanes are there?")
    assert [message.role for message in chat.engine.requests[0].messages] == ["user"]
    assert len(conversation.history) == 2


def test_raw_words_go_as_they_are(narrow, picture):
    chat = narrow("x", "y")
    chat.ask(picture, "hello", raw=True)
    chat.ask(picture, "hello [refer] there", regions=[(10, 10, 60, 60)], raw=True)
    assert chat.engine.prompts[0] == "hello"
    assert chat.engine.prompts[1].startswith("hello [refer] there {<")


def test_other_checkpoints_are_asked_in_the_users_words(chat_with, picture):
    chat = chat_with("x", "y")
    chat.ask(picture, "how many planes r there")
    chat.ask(picture, "[refer] the airplane")
    assert chat.engine.prompts == ["how many planes r there", "[refer] the airplane"]


def test_a_task_may_be_given_by_name(chat_with, picture):
    chat = chat_with("x")
    assert chat.ask(picture, "the airplane", task="refer").task == "refer"
    with pytest.raises(PromptError, match=r"no task 'paint'.*refer"):
        chat.ask(picture, "the airplane", task="paint")


class TestChoices:
    """The classes offered are obeyed."""

    def test_an_engine_that_can_scores_them(self, chat_with, picture):
        chat = chat_with(capabilities=Capabilities(choices=True))
        answer = GeoChat(Scoring(chat, "harbor")).ask(picture, "airport, harbor, forest", task="scene")
        assert (answer.text, answer.choice, answer.choice_method) == ("harbor", "harbor", "scored")
        choices = answer.to_dict()["choices"]
        assert [choice["text"] for choice in choices] == ["airport", "harbor", "forest"]
        assert sum(choice["probability"] for choice in choices) == pytest.approx(1)

    def test_a_renamed_class_is_asked_by_the_name_the_model_knows(self, chat_with, picture):
        chat = chat_with(settings=KNOWN, capabilities=Capabilities(choices=True))
        answer = GeoChat(Scoring(chat, "harbor")).ask(picture, "port, woods, car park", task="scene")
        assert answer.text == answer.choice == "port"
        assert chat.engine.requests[0].choices == ("harbor", "forest", "parking lot")
        assert [choice["text"] for choice in answer.to_dict()["choices"]] == ["port", "woods", "car park"]

    @pytest.mark.parametrize(
        ("wrote", "choice", "method"),
        [
            ("Harbor.", "harbor", "matched"),
            ("port", "harbor", "matched"),
            ("airplane", None, "unmatched"),
        ],
    )
    def test_other_engines_answer_is_matched_and_that_is_said(self, chat_with, picture, wrote, choice, method):
        answer = chat_with(wrote).ask(picture, "beach, harbor, forest", task="scene")
        assert (answer.choice, answer.choice_method) == (choice, method)
        assert any(notice.code == "no-choice" for notice in answer.notices) is (choice is None)

    def test_any_question_may_offer_answers(self, chat_with, picture):
        chat = chat_with(capabilities=Capabilities(choices=True))
        answer = GeoChat(Scoring(chat, "two")).ask(picture, "How many?", choices=["one", "two"])
        assert answer.choice == "two"
        with pytest.raises(PromptError, match="leave nothing to choose"):
            chat.ask(picture, "How many?", choices=["one", "one"])

    def test_without_classes_those_it_knows_are_offered(self, chat_with, picture):
        chat = chat_with("harbor", settings=KNOWN)
        chat.ask(picture, "", task="scene")
        assert chat.engine.prompts == [SCENE.format("airplane, harbor, forest, parking lot")]


class TestCounts:
    """A number is the median of its probabilities, where the engine can score and the checkpoint counts so far."""

    @pytest.fixture
    def counting(self, chat_with):
        def build(logprobs, *answers, choices=True):
            settings = replace(KNOWN, counts=4)
            chat = chat_with(*answers, settings=settings, capabilities=Capabilities(choices=choices))
            return GeoChat(Scoring(chat, "", logprobs))

        return build

    def test_the_median_is_the_answer_and_its_range_is_told(self, counting, picture):
        chat = counting([-9.0, math.log(0.3), math.log(0.15), math.log(0.3), math.log(0.25)])
        answer = chat.ask(picture, "how many ships?")
        assert chat.engine.requests[0].choices == ("0", "1", "2", "3", "4")
        assert (answer.text, answer.choice, answer.choice_method) == ("3", "3", "scored")
        assert [choice["text"] for choice in answer.to_dict()["choices"]] == ["0", "1", "2", "3", "4"]
        assert "probably 1 to 4" in next(notice.text for notice in answer.notices if notice.code == "count")

    def test_a_streamed_number_is_the_same(self, counting, picture):
        chat = counting([-9.0, math.log(0.3), math.log(0.15), math.log(0.3), math.log(0.25)])
        stream = chat.start(picture).stream("how many ships?")
        assert "".join(piece.text for piece in stream if isinstance(piece, Text)) == stream.answer.text == "3"

    def test_a_sure_number_has_no_range(self, counting, picture):
        answer = counting([-9.0, -9.0, 0.0, -9.0, -9.0]).ask(picture, "how many ships?")
        assert answer.text == "2"
        assert "count" not in [notice.code for notice in answer.notices]

    def test_other_engines_write_the_number(self, counting, picture):
        answer = counting([], "17", choices=False).ask(picture, "how many ships?")
        assert (answer.text, answer.choice) == ("17", None)

    def test_the_answers_that_are_offered_are_kept(self, counting, picture):
        chat = counting([-1.0, -2.0])
        assert chat.ask(picture, "how many ships?", choices=["few", "many"]).text == "few"


class TestHeldAgainstTheQuestion:
    """An answer whose phrase is not what was asked says so; a box is drawn once."""

    def test_another_thing_is_flagged_everywhere(self, chat_with, geotiff):
        chat = chat_with("<p>the building</p> {<10><30><30><40>|<90>}")
        answer = chat.ask(geotiff, "a submarine", task="refer")
        assert answer.regions[0].as_asked is False
        assert "submarine" in next(notice.text for notice in answer.notices if notice.code == "not-as-asked")
        assert answer.to_dict()["regions"][0]["as_asked"] is False
        assert answer.to_geojson()["features"][0]["properties"]["as_asked"] is False

    @pytest.mark.parametrize("named", ["2 planes", "the aircraft", "airplanes"])
    def test_synonyms_and_plurals_are_the_same_thing(self, chat_with, picture, named):
        answer = chat_with(f"<p>{named}</p> {{<10><30><30><40>|<90>}}").ask(picture, "all airplanes", task="refer")
        assert answer.regions[0].as_asked is True

    def test_two_boxes_of_a_phrase_on_an_object_are_one(self, chat_with, picture):
        wrote = "<p>ships</p> {<10><30><30><50>|<90>}<delim>{<10><30><30><51>|<90>}<delim>{<60><30><80><50>|<90>}"
        answer = chat_with(wrote).ask(picture, "Where?")
        assert len(answer.regions) == 2
        assert len(answer.parsed.regions) == 3
        assert answer.text == wrote
        assert any(notice.code == "merged" for notice in answer.notices)

    def test_two_phrases_on_an_object_stay_two(self, chat_with, picture):
        wrote = "<p>a ship</p> {<10><30><30><50>|<90>} <p>a boat</p> {<10><30><30><50>|<90>}"
        assert len(chat_with(wrote).ask(picture, "Where?").regions) == 2

    def test_exported_geometry_is_clipped_and_the_models_box_kept(self, chat_with, geotiff):
        answer = chat_with("<p>a ship</p> {<80><40><120><60>|<90>}").ask(geotiff, "Where?")
        (region,) = answer.regions
        assert max(x for x, _ in region.pixels) > 200
        assert max(x for x, _ in region.outline) == pytest.approx(200)
        (feature,) = answer.to_geojson()["features"]
        assert feature["properties"]["box"] == [80, 40, 120, 60, 90]
        assert max(x for x, _ in feature["properties"]["pixels"]) > 200
        inside = answer.to_dict()["regions"][0]
        assert max(x for x, _ in inside["map_outline"]) == pytest.approx(500_000 + 200 * 5)

    def test_a_box_beside_the_image_is_an_unlocated_feature(self, chat_with, geotiff):
        answer = chat_with("{<120><40><140><60>|<90>}").ask(geotiff, "Where?")
        assert answer.to_geojson()["features"][0]["geometry"] is None
        json.dumps(answer.to_dict(), allow_nan=False)


def test_identify_exports_the_region_asked_about(chat_with, geotiff, tmp_path):
    import pyogrio

    answer = chat_with("airplane").ask(geotiff, "", task="identify", regions=[(20, 10, 60, 30)])
    (feature,) = answer.to_geojson()["features"]
    assert (
        feature["properties"] | {"role": "asked", "answer": "airplane", "phrase": "airplane"} == feature["properties"]
    )
    answer.to_geopackage(tmp_path / "named.gpkg")
    meta, _, _, columns = pyogrio.raw.read(tmp_path / "named.gpkg")
    row = dict(zip(meta["fields"], columns, strict=True))
    assert list(row["answer"]) == ["airplane"]
    assert row["area_m2"][0] == pytest.approx(40 * 20 * 25, rel=1e-2)
    assert row["as_asked"][0] is None
