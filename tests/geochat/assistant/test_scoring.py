import json
import math
from itertools import accumulate, pairwise

import pyogrio
import pytest

from geochat.assistant import Question
from geochat.assistant.regions import region_score
from geochat.dialects import GEOCHAT
from geochat.engines import Completion, TokenScore, Usage
from geochat.models import BoxConfidence, Settings

PIECES = [
    "See ",
    "<p>",
    "2 ",
    "ships",
    "</p> ",
    "{<1><2",
    "><30><40>|<5",
    "0>}",
    "<delim>",
    "{<5><6><",
    "70><80>|<90>}",
]
PIECES += [" and ", "{<0><0><9><9>}"]
TEXT = "".join(PIECES)


@pytest.fixture
def tokens():
    """The first token has probability 1/2, the second 1/3, and so on."""
    ends = list(accumulate(map(len, PIECES)))
    return tuple(TokenScore(a, b, -math.log(n)) for n, (a, b) in enumerate(pairwise([0, *ends]), 2))


@pytest.mark.parametrize(("number", "pieces"), [(0, [2, 3, 5, 6, 7]), (1, [2, 3, 9, 10]), (2, [2, 3, 12])])
def test_a_score_is_the_geometric_mean_over_coordinates_and_phrase(tokens, number, pieces):
    expected = math.prod(1 / (piece + 2) for piece in pieces) ** (1 / len(pieces))
    assert region_score(GEOCHAT.parse(TEXT).regions[number], tokens) == pytest.approx(expected)


def test_scores_follow_the_spans():
    """Each character is a token: those of the coordinates and the phrase count, once each."""
    for region in GEOCHAT.parse(TEXT).regions:
        spans = [region.span, *([region.phrase_span] if region.phrase_span else [])]
        counted = {place for start, end in spans for place in range(start, end)}
        likely = [TokenScore(i, i + 1, -1.0 if i in counted else -9.0) for i in range(len(TEXT))]
        assert region_score(region, likely) == pytest.approx(math.exp(-1))


def test_the_first_bytes_of_a_character_count_and_the_end_token_does_not():
    text = "{<1><2><3><4>}"
    (region,) = GEOCHAT.parse(text).regions
    tokens = [TokenScore(0, 0, -2.0), TokenScore(0, len(text), -1.0), TokenScore(len(text), len(text), -9.0)]
    assert region_score(region, tokens) == pytest.approx(math.exp(-1.5))


def test_without_token_scores_there_is_none():
    assert region_score(GEOCHAT.parse(TEXT).regions[0], ()) is None


@pytest.fixture
def answer(chat_with, geotiff, tokens):
    conversation = chat_with().start(geotiff)
    return conversation.prepare(Question("Where?")).read(Completion(TEXT, "stop", Usage(7, len(tokens)), tokens))


def test_scores_are_in_json_and_exports(answer, tmp_path):
    scores = [region.score for region in answer.regions]
    assert all(0 < score < 1 for score in scores)
    value = json.loads(json.dumps(answer.to_dict(), allow_nan=False))
    assert [region["score"] for region in value["regions"]] == scores
    assert "".join(token["text"] for token in value["tokens"]) == TEXT
    assert [token["logprob"] for token in value["tokens"]] == [token.logprob for token in answer.tokens]
    assert [feature["properties"]["score"] for feature in answer.to_geojson()["features"]] == scores
    assert written_scores(answer.to_geopackage(tmp_path / "a.gpkg")) == scores


def test_an_engine_without_token_scores_exports_none(chat_with, geotiff, tmp_path):
    answer = chat_with(TEXT).ask(geotiff, "Where?")
    assert [region["score"] for region in answer.to_dict()["regions"]] == [None] * 3
    assert [feature["properties"]["score"] for feature in answer.to_geojson()["features"]] == [None] * 3
    assert all(math.isnan(score) for score in written_scores(answer.to_geopackage(tmp_path / "a.gpkg")))


def written_scores(path):
    meta, _, _, columns = pyogrio.raw.read(path)
    return columns[list(meta["fields"]).index("score")].tolist()


class TestCalibrated:
    @pytest.fixture
    def scored(self, chat_with, geotiff, tokens):
        def read(**changes):
            calibration = BoxConfidence(0.0, 1.0, 1.0, 1.0, **changes)
            chat = chat_with(settings=Settings(name="calibrated", box_confidence=calibration))
            completion = Completion(TEXT, "stop", Usage(7, len(tokens)), tokens)
            return calibration, chat.start(geotiff).prepare(Question("Where?")).read(completion)

        return read

    def test_a_score_is_the_probability_that_the_box_is_right(self, scored, answer):
        calibration, read = scored()
        for region, plain in zip(read.regions, answer.regions, strict=True):
            side = max(region.geometry.width, region.geometry.height) / 200
            assert region.score == pytest.approx(calibration.probability(plain.score, side, None))

    def test_boxes_that_are_probably_wrong_are_named(self, scored):
        _, everything = scored(minimum=1.0)
        (notice,) = [each for each in everything.notices if each.code == "improbable"]
        numbers = [f"[{number}]" for number in range(1, len(everything.regions) + 1)]
        assert all(number in notice.text for number in numbers)
        assert "probably wrong" in notice.text
        _, none = scored(minimum=0.0)
        assert "improbable" not in [each.code for each in none.notices]
