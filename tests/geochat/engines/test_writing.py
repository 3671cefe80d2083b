import pytest
from hypothesis import given
from hypothesis import strategies as st

from geochat.engines.writing import Detokenizer, StopStrings, Writer

TEXTS = [
    "A large airplane near the harbor.",
    "two  spaces, and a trailing one ",
    "naïve café — 東京 🛰️ θ=90°",
    "<p>airplane</p> {<12><30><44><61>|<90>}<delim>{<0><0><100><100>|<5>} and more",
    "line one\nline two\n",
]


@pytest.mark.parametrize("text", TEXTS)
def test_pieces_join_to_the_decoded_text(tokenizer, text):
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    detokenizer = Detokenizer(tokenizer)
    pieces = [detokenizer.feed(token) for token in ids]
    assert "".join(pieces) + detokenizer.close() == tokenizer.decode(ids) == text
    assert not any("\ufffd" in piece for piece in pieces)


def test_special_tokens_vanish_and_markup_stays(tokenizer):
    ids = tokenizer("<s>a {<12>}</s><unk>", add_special_tokens=False)["input_ids"]
    detokenizer = Detokenizer(tokenizer)
    assert "".join(map(detokenizer.feed, ids)).strip() == "a {<12>}"


def test_bytes_that_never_become_a_character_end_as_replacements(tokenizer):
    ids = tokenizer("🛰", add_special_tokens=False)["input_ids"]
    detokenizer = Detokenizer(tokenizer)
    assert "".join(map(detokenizer.feed, ids[:-1])).strip() == ""
    assert "\ufffd" in detokenizer.close()


def through(stops, pieces):
    matcher, text = StopStrings(stops), ""
    for piece in pieces:
        text += matcher.feed(piece)
        if matcher.stopped:
            return text
    return text + matcher.close()


@pytest.mark.parametrize(
    ("stops", "pieces", "text"),
    [
        ((), ["a", "b"], "ab"),
        (("END",), ["the E", "N", "D of it"], "the "),
        (("END",), ["the E", "N", "X"], "the ENX"),
        (("aab",), ["aa", "ab", "c"], "a"),
        (("\n\n", "USER:"), ["x\n", "USE", "R", ": y"], "x\n"),
        (("abcd", "bc"), ["ab", "c"], "a"),
        (("x",), ["x"], ""),
    ],
)
def test_stop_strings(stops, pieces, text):
    assert through(stops, pieces) == text


@given(
    st.lists(st.text("ab", min_size=1, max_size=3), max_size=8),
    st.lists(st.text("ab", min_size=1, max_size=4), min_size=1, max_size=2),
)
def test_what_passes_holds_no_stop_string(pieces, stops):
    whole = "".join(pieces)
    text = through(tuple(stops), pieces)
    assert whole.startswith(text)
    assert not any(stop in text for stop in stops)
    if not any(stop in whole for stop in stops):
        assert text == whole


def written(tokenizer, text, stops=()):
    writer, out = Writer(tokenizer, stops), ""
    for token in tokenizer(text, add_special_tokens=False)["input_ids"]:
        out += writer.feed(token, -0.5)
        if writer.stopped:
            break
    return out + writer.close(), writer.scores


def test_leading_white_space_is_dropped(tokenizer):
    assert written(tokenizer, "  \n the harbor ")[0] == "the harbor "


@pytest.mark.parametrize("text", TEXTS)
def test_scores_tile_the_text(tokenizer, text):
    out, scores = written(tokenizer, text)
    assert [score.start for score in scores] == [0, *(score.end for score in scores[:-1])]
    assert scores[-1].end == len(out)


def test_scores_of_a_stop_string_are_cut(tokenizer):
    out, scores = written(tokenizer, "the harbor. USER: more", stops=("USER:",))
    assert out == "the harbor. "
    assert scores[-1].end == len(out)
    assert all(score.start < len(out) for score in scores)
