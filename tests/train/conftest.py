"""Fixtures of the training tests."""

import json
import random

import pytest
import torch
from PIL import Image
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    PreTrainedTokenizerFast,
)

from geochat.checkpoints import save_checkpoint
from geochat.models import Settings
from geochat.prompts import SYSTEM_PROMPT, chat_template
from geochat.vision import build_processor
from geochat_train.recipe_files import load_recipe


@pytest.fixture(scope="package", autouse=True)
def one_thread():
    """One thread: models of 40,000 parameters spend more time waiting for a second one than it saves."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


SPECIAL = ["<unk>", "<s>", "</s>", "<image>"]
QUESTIONS = ["What is this?", "How many cars are there in the image?", "[identify] What is at {<1><2><30><40>|<90>}"]
ANSWERS = ["car", "There are 3 cars.", "<p>a person</p> {<10><20><30><40>|<45>} beside a large building"]


@pytest.fixture(scope="session")
def base(tmp_path_factory):
    """A random LLaVA of 40,000 parameters on disk, whose tower has a layer that its features do not come from."""
    torch.manual_seed(0)
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    raw.train_from_iterator(
        [SYSTEM_PROMPT, *QUESTIONS, *ANSWERS],
        trainers.BpeTrainer(vocab_size=600, special_tokens=SPECIAL, initial_alphabet=alphabet),
    )
    raw.add_tokens([AddedToken(f"<{number}>", normalized=False) for number in range(101)])
    names = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "<unk>"}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, extra_special_tokens={"image_token": "<image>"}, **names)
    shape = {"intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
    model = LlavaForConditionalGeneration(
        LlavaConfig(
            vision_config=CLIPVisionConfig(hidden_size=32, image_size=28, patch_size=14, **shape),
            text_config=LlamaConfig(hidden_size=32, vocab_size=len(tokenizer), max_position_embeddings=512, **shape),
            image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
            image_seq_length=4,
            vision_feature_layer=-2,
            vision_feature_select_strategy="default",
        )
    )
    folder = tmp_path_factory.mktemp("base") / "tiny"
    processor = build_processor(tokenizer, 28, 14, chat_template())
    save_checkpoint(folder, model, processor, Settings(name="tiny", categories=("car",), scene_classes=("port",)))
    return folder


@pytest.fixture(scope="session")
def material(tmp_path_factory):
    """Twelve images, 30 questions about them and two about none, in `train.jsonl`."""
    folder = tmp_path_factory.mktemp("material")
    rng = random.Random(0)
    for number in range(12):
        Image.effect_noise((40, 30), 20 * number).convert("RGB").save(folder / f"{number}.png")
    with (folder / "train.jsonl").open("w") as file:
        for number in range(32):
            image = {"image": f"{number % 10}.png"} if number < 30 else {}
            question = rng.choice(QUESTIONS)
            turns = [
                {"from": "human", "value": f"<image>\n{question}" if image else question},
                {"from": "gpt", "value": " ".join(rng.choices(ANSWERS, k=rng.randint(1, 4)))},
            ]
            file.write(json.dumps({"id": str(number), **image, "conversations": turns}) + "\n")
    return folder


@pytest.fixture
def recipe(base, material, tmp_path):
    """`recipe("lora", steps=3)`: a recipe for the tiny model on the tiny material."""

    def make(method="lora", **given):
        common = {"model": str(base), "data": material / "train.jsonl", "out": tmp_path / "out", "workers": 0}
        common |= {"batch_size": 4, "log_every": 1, "save_every": 2, "precision": "float32", "learning_rate": 1e-2}
        common |= {"rank": 4} if "lora" in method else {}
        return load_recipe(method, None, {**common, **given})

    return make
