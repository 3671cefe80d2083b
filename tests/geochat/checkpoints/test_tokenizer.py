"""The converted tokenizer against SentencePiece itself, and what the recorded prompts cannot show."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sentencepiece import SentencePieceProcessor
from transformers import AutoTokenizer

from geochat.checkpoints.tokenizer import llama_tokenizer
from geochat.errors import CheckpointError

WORDS = st.lists(
    st.sampled_from(
        ["image", "  ", "   ", " ", "airplane", "\n", "\t", "<8>", "USER:", "é", "图", "🙂", "(", "}", "ing"]
    ),
    min_size=1,
    max_size=12,
).map("".join)


@pytest.fixture(scope="module")
def pair(sentencepiece_file):
    return SentencePieceProcessor(model_file=str(sentencepiece_file)), llama_tokenizer(sentencepiece_file, 2048)


@settings(max_examples=150, deadline=None)
@given(text=st.one_of(WORDS, st.text(min_size=1, max_size=30)))
def test_ids_equal_sentencepiece(pair, text):
    pieces, tokenizer = pair
    if any(token in text for token in ("<s>", "</s>", "<unk>", "<image>")):
        return
    assert tokenizer(text, add_special_tokens=False)["input_ids"] == pieces.encode(text)


def test_ids_equal_sentencepiece_on_llama(shared):
    file = shared / "reference/original/geochat-tiny/tokenizer.model"
    pieces, tokenizer = SentencePieceProcessor(model_file=str(file)), llama_tokenizer(file, 2048)

    @settings(max_examples=300, deadline=None)
    @given(text=st.one_of(WORDS, st.text(min_size=1, max_size=40)))
    def check(text):
        if not any(token in text for token in ("<s>", "</s>", "<unk>", "<image>")):
            assert tokenizer(text, add_special_tokens=False)["input_ids"] == pieces.encode(text)

    check()


def test_a_space_is_put_before_text_but_not_after_the_end_token(pair):
    pieces, tokenizer = pair
    encode = lambda text: tokenizer(text, add_special_tokens=False)["input_ids"]  # noqa: E731
    image = tokenizer.convert_tokens_to_ids("<image>")
    assert image == pieces.GetPieceSize()
    assert encode("<s>small<image>small") == [1, *pieces.encode("small"), image, *pieces.encode("small")]
    after = encode("small</s>small")
    assert after[: len(pieces.encode("small")) + 1] == [*pieces.encode("small"), 2]
    assert tokenizer.convert_ids_to_tokens(after[-1])[0] != "▁"


def test_special_tokens_come_from_the_tokenizer_alone(pair):
    _, tokenizer = pair
    assert tokenizer("small")["input_ids"][0] == tokenizer.bos_token_id == 1
    assert (tokenizer.eos_token_id, tokenizer.pad_token_id, tokenizer.unk_token_id) == (2, 0, 0)
    assert tokenizer.decode(tokenizer("A  chat\n图🙂")["input_ids"], skip_special_tokens=True) == "A  chat\n图🙂"


def test_saved_and_read_again_it_gives_the_same(pair, tmp_path):
    _, tokenizer = pair
    tokenizer.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    text = "A chat USER: <image>\nWhat  is it? ASSISTANT: two</s>USER: small"
    assert again(text)["input_ids"] == tokenizer(text)["input_ids"]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"tokenizer\.model is missing"):
        llama_tokenizer(tmp_path / "tokenizer.model", 2048)


def test_another_file_is_named(tmp_path):
    (tmp_path / "tokenizer.model").write_bytes(b"no tokenizer")
    with pytest.raises(CheckpointError, match="not a SentencePiece model"):
        llama_tokenizer(tmp_path / "tokenizer.model", 2048)
