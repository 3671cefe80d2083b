"""Numbers of boxes are generated in boxes only, where the vocabulary has one token for each."""

import re
from types import SimpleNamespace

import numpy as np
import pytest

from geochat import GeoChat, Question
from geochat.dialects import DIALECTS, GEOCHAT
from geochat.engines import GenerationSettings
from geochat.engines.rows import BoxTokens

NUMBER = re.compile(r"<-?\d+>")
BOX = re.compile(r"\{[^{}]*(\}|$)")


@pytest.fixture(scope="module")
def chat():
    return GeoChat.from_pretrained(device="cpu")


def sampled(chat):
    """Captions of noise, so hot that the model says anything."""
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    hot = [GenerationSettings(max_new_tokens=40, temperature=1.8, seed=seed) for seed in range(16)]
    pairs = [(noise, Question("Describe the image.", raw=True, generation=each)) for each in hot]
    return [answer.text for answer in chat.ask_many(pairs)]


def test_no_number_stands_among_words(chat, monkeypatch):
    texts = sampled(chat)
    assert any(NUMBER.search(text) for text in texts)  # in boxes
    assert not any(NUMBER.search(BOX.sub("", text)) for text in texts)
    monkeypatch.setattr(BoxTokens, "find", lambda *_: None)
    assert any(NUMBER.search(BOX.sub("", text)) for text in sampled(GeoChat.from_pretrained(device="cpu")))


@pytest.mark.parametrize(
    ("text", "is_open"),
    [("a ship", False), ("<p>a ship</p> {", True), ("{<8><26>", True), ("{<8><26><-3><100>|<-40>} and", False)],
)
def test_a_box_is_open_from_brace_to_brace(chat, text, is_open):
    tokenizer = chat.engine.engine.checkpoint.processor.tokenizer
    boxes = BoxTokens.find(tokenizer, GEOCHAT)
    assert boxes.are_open(tokenizer(text, add_special_tokens=False)["input_ids"]) == is_open


def test_other_vocabularies_and_dialects_are_left_alone(chat):
    in_pieces = SimpleNamespace(get_vocab=lambda: {"{": 0, "<": 1, "4": 2, "2": 3, ">": 4, "}": 5})
    assert BoxTokens.find(in_pieces, GEOCHAT) is None
    own = chat.engine.engine.checkpoint.processor.tokenizer
    assert BoxTokens.find(own, DIALECTS["earthdial"]) is None
