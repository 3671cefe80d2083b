"""An answer that begins to repeat itself is ended; others are as they were."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from geochat.dialects import GEOCHAT
from geochat.engines import LocalEngine
from geochat.engines.writing import RepetitionGuard, Writer

BOX = "{<10><20><30><40>|<90>}"
OTHER = "{<10><20><30><41>|<90>}"
LONG = "the ship lies near the harbor. "


def written(tokenizer, text, *, guarded=True, stops=()):
    """Pieces of a text tokenised and written, until it is ended; the writer."""
    writer = Writer(tokenizer, stops, RepetitionGuard(GEOCHAT) if guarded else None)
    pieces = []
    for token in tokenizer(text, add_special_tokens=False)["input_ids"]:
        pieces.append(writer.feed(token, -0.5))
        if writer.stopped or writer.repeated:
            break
    return [*pieces, writer.close()], writer


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        pytest.param(" with with with with", "with", id="a word"),
        pytest.param(" 0 0 0 0 0 0", "0", id="a number"),
        pytest.param(" a ship, a ship, a ship, a ship", "a ship,", id="a list"),
        pytest.param(f"near {LONG * 4}", f"near {LONG}".rstrip(), id="a sentence"),
        pytest.param(f"<p>ships</p> {BOX * 4}", f"<p>ships</p> {BOX}", id="a box"),
        pytest.param("<p>ships</p> " + f"{BOX}<delim>" * 4, f"<p>ships</p> {BOX}<delim>", id="a box of several"),
        pytest.param(f"{OTHER}{BOX * 4}", f"{OTHER}{BOX}", id="a box after a like one"),
        pytest.param("<p>with with with with", "<p>with", id="within a phrase"),
    ],
)
def test_what_is_said_three_times_is_cut_after_the_first(tokenizer, text, kept):
    pieces, writer = written(tokenizer, text)
    assert writer.repeated
    assert "".join(pieces).strip() == kept
    assert_consistent("".join(pieces), writer.scores)


@pytest.mark.parametrize(
    "text",
    [
        "with with",
        f"{BOX}{BOX} and more",
        "{<0><0><0><100>|<90>}",
        "{<0><0><0><0>|<90>} and more",
        f"<p>ships</p> {BOX}{OTHER}" + "{<11><20><30><40>|<90>}{<12><20><30><40>|<90>}",
        "one of 2000 ships, 1000000 cars",
        "and so on ........ to the end",
        "one\n\n\n\n\n\n\n\n\n\ntwo      three",
        "2 ships, 3 ships, 4 ships, 5 ships",
        "- - - - - - - - - - - -",
        "hahaha",
    ],
)
def test_what_is_no_repetition_stays(tokenizer, text):
    pieces, writer = written(tokenizer, text)
    plain, unguarded = written(tokenizer, text, guarded=False)
    assert not writer.repeated
    assert "".join(pieces) == "".join(plain)
    assert writer.scores == unguarded.scores


def assert_consistent(text, scores):
    assert [score.start for score in scores] == [0, *(score.end for score in scores[:-1])]
    assert scores[-1].end == len(text)


WORDS = [" with", " 0", " ships", ",", ".", BOX, OTHER, "<delim>", " 🛰", "\n", "0"]


@given(
    st.lists(st.tuples(st.sampled_from(WORDS), st.integers(1, 4)), min_size=1, max_size=8).map(
        lambda drawn: "".join(word * times for word, times in drawn)
    )
)
def test_nothing_that_has_been_given_out_is_taken_back(tokenizer, text):
    """The pieces join to the answer, which is the unguarded one's beginning, and what is cut has been said before."""
    pieces, writer = written(tokenizer, text)
    whole = "".join(written(tokenizer, text, guarded=False)[0])
    answer = "".join(pieces)
    assert whole.startswith(answer)
    assert writer.repeated or answer == whole
    if writer.scores:
        assert_consistent(answer, writer.scores)
    if writer.repeated:
        rest = whole[len(answer) :]
        assert any(rest[:n] == rest[n : 2 * n] and answer.endswith(rest[:n].lstrip()) for n in range(1, len(rest)))
        assert not GEOCHAT.parse(answer).problems or "{" not in GEOCHAT.parse(answer).problems[-1].text


def test_text_flows_on_until_it_may_be_a_repetition(tokenizer):
    pieces, _ = written(tokenizer, " a large ship near the harbor")
    assert sum(bool(piece.strip()) for piece in pieces) > 3


def test_a_stop_string_comes_first(tokenizer):
    pieces, writer = written(tokenizer, " with with END with with with", stops=("END",))
    assert "".join(pieces) == "with with "
    assert writer.stopped
    assert not writer.repeated


@pytest.fixture
def loops(checkpoint):
    """Whatever it is asked, the model writes these tokens."""
    ids = checkpoint.processor.tokenizer("near the harbor" + " near" * 60, add_special_tokens=False)["input_ids"]
    steps = iter(ids)

    def say(_module, _inputs, logits):
        return logits.index_fill(-1, torch.tensor([next(steps)]), 1e4)

    hook = checkpoint.model.lm_head.register_forward_hook(say)
    yield ids
    hook.remove()


def guarded(checkpoint):
    return LocalEngine(replace(checkpoint, settings=replace(checkpoint.settings, repetition_guard=True)))


def test_an_engine_ends_it_where_the_settings_say_so(checkpoint, loops, ask):
    chunks = list(guarded(checkpoint).stream(ask("USER")))
    assert "".join(chunk.text for chunk in chunks) == "near the harbor near"
    last = chunks[-1]
    assert last.finish == "repetition"
    assert last.tokens[-1].end == len("near the harbor near")
    assert len(last.tokens) < last.usage.completion_tokens < 24


def test_others_go_on(checkpoint, loops, ask):
    completion = LocalEngine(checkpoint).generate(ask("USER"))
    assert (completion.finish, completion.usage.completion_tokens) == ("length", 24)


def test_an_answer_that_does_not_repeat_itself_is_the_same_with_a_guard(checkpoint, ask, picture):
    for text in ("near", "What is in the image?", "two small vehicles"):
        request = ask(text, image=picture())
        plain, watched = LocalEngine(checkpoint).generate(request), guarded(checkpoint).generate(request)
        assert plain.text.startswith(watched.text)
        assert watched.finish == "repetition" or watched == plain
