"""Labels are those the original trainer makes, and what it loses without a word is refused with a reason."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration
from transformers.trainer_pt_utils import LengthGroupedSampler

from geochat.checkpoints.tokenizer import llama_tokenizer
from geochat.errors import DataError, ImageError
from geochat.prompts import SYSTEM_PROMPT, Message, chat_template
from geochat.vision import build_processor
from geochat_data.encoding import IGNORED, Collator, encode_sample, image_token_count
from geochat_data.index import SampleIndex, write_index
from geochat_data.samples import Sample, from_published

PLACEHOLDER = -200  # of the original, one an image
ORDINARY = (
    "single_vqa", "multi3", "grounding", "refer", "image_token_at_end", "image_token_middle_spaces",
    "starts_with_gpt", "no_image", "unicode",
)  # fmt: skip
REFUSED = {  # the table of docs/data.md
    "two_images": "2 <image> placeholders",
    "answer_contains_sep": "ASSISTANT:",
    "answer_contains_eos": "</s>",
    "ends_with_human": "end with the assistant's answer",
    "empty_answer": "empty",
}


@pytest.fixture(scope="module")
def recorded(shared):
    return json.loads((shared / "reference" / "original" / "training.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def processor(shared):
    tokenizer = llama_tokenizer(shared / "reference" / "original" / "geochat-tiny" / "tokenizer.model", 4096)
    prompt = SYSTEM_PROMPT.replace("curious human", "curious user").replace("human's questions", "user's questions")
    return build_processor(tokenizer, 28, 14, chat_template(prompt))


def published(entry):
    return from_published(
        {"conversations": entry["conversations"]} | ({"image": "a.png"} if entry["has_image"] else {}), 0
    )


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_samples_have_the_originals_tokens_and_labels(recorded, processor, name):
    entry = recorded[f"v1/{name}"]
    example = encode_sample(published(entry), processor, 4096)
    patches, image = image_token_count(processor), processor.tokenizer.convert_tokens_to_ids("<image>")
    ids, labels = example.input_ids, example.labels
    if entry["has_image"]:
        at = ids.index(image)
        assert ids[at : at + patches] == [image] * patches
        assert labels[at : at + patches] == [IGNORED] * patches
        ids = [*ids[:at], PLACEHOLDER, *ids[at + patches :]]
        labels = [*labels[:at], IGNORED, *labels[at + patches :]]
    assert ids == entry["input_ids"]
    assert labels == entry["labels"]


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_original_masks_or_mangles_is_refused(recorded, name):
    with pytest.raises(DataError, match=REFUSED[name]):
        published(recorded[f"v1/{name}"])


def test_what_is_too_long_is_refused_with_its_length(recorded, processor):
    entry = recorded["v1/long_over_2048"]
    assert entry["n"] == 2356
    turns = [("human", "<image>\nList"), ("gpt", " ".join(["building"] * 2300)), ("human", "more"), ("gpt", "no")]
    sample = from_published({"image": "a.png", "conversations": [{"from": a, "value": b} for a, b in turns]}, 0)
    assert len(encode_sample(sample, processor, 4096).input_ids) == 2356 - 1 + image_token_count(processor)
    with pytest.raises(DataError, match="2359 tokens, 2048 are allowed"):
        encode_sample(sample, processor, 2048)


def test_every_recorded_sample_is_accounted_for(recorded):
    names = {key.removeprefix("v1/") for key in recorded if key.startswith("v1/")}
    assert names == {*ORDINARY, *REFUSED, "long_over_2048"}


def test_the_guides_table_names_them_all():
    guide = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    assert all(f"| `{name}`" in guide for name in (*REFUSED, "long_over_2048"))


@pytest.fixture(scope="module")
def model(processor):
    text = LlamaConfig(
        hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2, vocab_size=32064
    )
    vision = CLIPVisionConfig(
        hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2, image_size=28, patch_size=14
    )
    image = processor.tokenizer.convert_tokens_to_ids("<image>")
    torch.manual_seed(0)
    return LlavaForConditionalGeneration(
        LlavaConfig(vision_config=vision, text_config=text, image_token_index=image, image_seq_length=4)
    ).eval()


def test_rows_of_a_mixed_batch_are_what_they_are_alone(processor, images, model):
    collate = Collator(processor, images, 512)
    samples = [talk(0, None, 20), talk(1, "a.png", 3), talk(2, "b.png", 9)]
    with torch.inference_mode():
        together = model(**collate(samples))
        for row, sample in enumerate(samples):
            batch = collate([sample])
            alone = model(**batch)
            length = batch["input_ids"].shape[1]
            assert torch.allclose(together.logits[row, :length], alone.logits[0], atol=1e-5)
            assert alone.loss.isfinite()


def talk(number, image, words):
    return Sample(
        str(number), image, (Message("user", "Count them."), Message("assistant", " ".join(["plane"] * words)))
    )


@pytest.fixture
def images(tmp_path):
    for name, colour in (("a.png", "white"), ("b.png", "black")):
        Image.new("RGB", (40, 20), colour).save(tmp_path / name)
    return tmp_path


def test_a_batch_is_padded_on_the_right(processor, images):
    collate = Collator(processor, images, 512)
    samples = [talk(0, "a.png", 3), talk(1, None, 30), talk(2, "b.png", 9)]
    batch = collate(samples)
    assert batch["input_ids"].shape == batch["labels"].shape == batch["attention_mask"].shape
    assert batch["pixel_values"].shape == (2, 3, 28, 28)
    assert batch["pixel_values"][0].mean() > batch["pixel_values"][1].mean()
    for row, sample in enumerate(samples):
        example = encode_sample(sample, processor, 512)
        length = len(example.input_ids)
        assert batch["input_ids"][row, :length].tolist() == example.input_ids
        assert batch["labels"][row, :length].tolist() == example.labels
        assert batch["attention_mask"][row].tolist() == [1] * length + [0] * (batch["labels"].shape[1] - length)
        assert (batch["labels"][row, length:] == IGNORED).all()


def test_a_batch_of_text_has_no_pixels(processor, images):
    assert "pixel_values" not in Collator(processor, images, 512)([talk(0, None, 3)])


def test_what_is_wrong_is_named(processor, images):
    with pytest.raises(DataError, match=r"sample 5: .* 20 are allowed"):
        Collator(processor, images, 20)([talk(5, None, 30)])
    with pytest.raises(ImageError, match=r"gone\.png"):
        Collator(processor, images, 512)([talk(0, "gone.png", 3)])


def test_samples_of_like_length_share_a_batch(processor, images, tmp_path):
    samples = [talk(n, None, 1 + (37 * n) % 60) for n in range(400)]
    write_index(tmp_path / "i.arrow", samples, lambda s: len(encode_sample(s, processor, 512).input_ids))
    index = SampleIndex(tmp_path / "i.arrow")
    sampler = LengthGroupedSampler(8, lengths=index.lengths.tolist(), generator=torch.Generator().manual_seed(0))
    order = list(sampler)
    assert sorted(order) == list(range(400))
    collate = Collator(processor, images, 512)
    padded = sum(
        int((collate([index[i] for i in order[k : k + 8]])["attention_mask"] == 0).sum()) for k in range(0, 400, 8)
    )
    assert padded < 0.05 * index.lengths.sum()
