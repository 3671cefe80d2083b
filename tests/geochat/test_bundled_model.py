"""The model that ships: small, loadable by plain transformers, and used alike by every door."""

import json
import re
from importlib.resources import files
from pathlib import Path

import pytest
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from geochat import GeoChat, Task
from geochat.checkpoints.sources import recognise
from geochat.cli import main
from geochat.dialects import GEOCHAT
from geochat.models import bundled_names, bundled_path
from geochat.prompts import Message, chat_messages

SCENE = Path(str(files("geochat") / "samples" / "airport.tif"))


@pytest.fixture(scope="module")
def chat() -> GeoChat:
    return GeoChat.from_pretrained(device="cpu")


def test_its_weights_are_small():
    weights = [file.stat().st_size for file in bundled_path().rglob("*.safetensors")]
    assert weights
    assert sum(weights) <= 36_000_000
    assert max(weights) <= 15_000_000


def test_its_card_names_these_very_weights(chat):
    card = (bundled_path() / "README.md").read_text(encoding="utf-8")
    assert chat.engine.info.sha256 in card


def test_it_loads_and_answers_in_plain_transformers(chat):
    processor = AutoProcessor.from_pretrained(bundled_path())
    model = AutoModelForImageTextToText.from_pretrained(bundled_path(), dtype=torch.float32)
    with Image.open(SCENE) as image:
        inputs = processor.apply_chat_template(
            chat_messages([Message("user", GEOCHAT.compose("the leftmost airplane", Task.REFER))], with_image=True),
            add_generation_prompt=True,
            tokenize=False,
        )
        batch = processor(images=image.convert("RGB"), text=inputs, add_special_tokens=False, return_tensors="pt")
    written = model.generate(**batch, max_new_tokens=40)[0, batch["input_ids"].shape[1] :]
    plain = processor.tokenizer.decode(written, skip_special_tokens=True).strip()
    assert chat.ask(SCENE, "the leftmost airplane", task=Task.REFER).text == plain


@pytest.mark.parametrize("task", [Task.CAPTION, Task.GROUNDING])
def test_it_answers_what_needs_no_words(chat, task):
    answer = chat.ask(SCENE, "", task=task)
    assert answer.plain_text
    assert answer.finish == "stop"
    assert not answer.problems


def test_what_it_finds_lies_on_the_map(chat):
    answer = chat.ask(SCENE, "all airplanes", task=Task.REFER)
    assert answer.regions
    for region in answer.regions:
        for column, row in region.pixels:
            assert -320 <= column <= 640
            assert -256 <= row <= 512
        for (column, row), (x, y) in zip(region.pixels, region.map, strict=True):
            assert x == pytest.approx(451_200 + 0.3 * column)
            assert y == pytest.approx(5_411_400 - 0.3 * row)


def test_its_vocabulary_has_one_token_a_coordinate(chat):
    tokenizer = chat.engine.engine.checkpoint.processor.tokenizer
    pieces = tokenizer.tokenize("{<8><26><-3><100>|<-40>}")
    assert pieces == ["{", "<8>", "<26>", "<-3>", "<100>", "|", "<-40>", "}"]


def test_the_scene_classes_are_listed_with_the_weights():
    settings = json.loads((bundled_path() / "geochat.json").read_text(encoding="utf-8"))
    assert len(settings["scene_classes"]) == 43


PLAIN = {  # as people type it: what the answer must be or hold
    "How many airplanes are in the image?": {"2", "3", "4"},
    "how many planes r there": {"2", "3", "4"},
    "Is there a tennis court?": {"no"},  # cars are no test: service vehicles stand there, which no label names
    "any ships?": {"no"},
    "airport, harbor or forest?": {"airport"},
    "what kind of place is this?": {"airplane"},
}


@pytest.mark.parametrize("typed", PLAIN)
def test_plain_questions_are_answered(chat, typed):
    answer = chat.ask(SCENE, typed)
    assert answer.plain_text in PLAIN[typed]
    assert any(notice.code == "understood" for notice in answer.notices)


def test_a_number_in_doubt_comes_with_its_range(chat):
    answer = chat.ask(SCENE, "how many planes are there?")
    (told,) = [notice.text for notice in answer.notices if notice.code == "count"]
    low, high = map(int, re.findall(r"\d+", told))
    assert low <= 2 <= high
    assert low <= int(answer.text) <= high
    assert answer.choice == answer.text


@pytest.mark.parametrize("typed", ["[refer] the airplane", "where is the plane on the left?", "find the largest jet"])
def test_plain_searches_find_boxes(chat, typed):
    answer = chat.ask(SCENE, typed)
    assert len(answer.regions) == 1
    assert answer.regions[0].as_asked is True


@pytest.mark.parametrize("typed", ["hello", "a submarine", "is it safe to land?", "[refer] the windmill"])
def test_what_it_does_not_know_it_says(chat, typed):
    answer = chat.ask(SCENE, typed)
    assert answer.to_dict()["in_scope"] is False
    assert "airplanes" in answer.text
    assert answer.regions == ()


@pytest.mark.parametrize(
    ("classes", "right"),
    [
        ("airport, harbor, forest", "airport"),
        ("port, car park, airport", "airport"),
        ("aerodrome, woods, motorway", "aerodrome"),
        ("airfield\nfarmland\ngolf", "airfield"),
    ],
)
def test_the_classes_offered_are_obeyed(chat, classes, right):
    answer = chat.ask(SCENE, classes, task="scene")
    assert answer.choice == answer.text == right
    assert answer.choice_method == "scored"
    assert [choice["text"] for choice in answer.to_dict()["choices"]] == [c.strip() for c in re.split("[,\n]", classes)]


def test_any_classes_are_obeyed_even_wrong_ones(chat):
    answer = chat.ask(SCENE, "volcano, glacier, moon base", task="scene")
    assert answer.choice in ("volcano", "glacier", "moon base")


def test_loops_are_ended(chat):
    answer = chat.ask(SCENE, "[refer] the airplane", raw=True)
    words = answer.text.split()
    assert not any(words[i] == words[i + 1] == words[i + 2] for i in range(len(words) - 2))


def test_a_long_conversation_does_not_decay(chat):
    talk = chat.start(SCENE)
    alone, number = (chat.ask(SCENE, typed).text for typed in ("where are the planes?", "how many planes?"))
    for _ in range(12):
        assert talk.ask("how many planes are there?").text == number
        assert talk.ask("where are they?").text == alone
    assert talk.ask("and ships?").text == chat.ask(SCENE, "where are the ships?").text


def test_its_name_is_listed_and_loads_it(capsys, chat):
    assert main(["info", "--bundled"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in listed] == list(bundled_names())
    assert main(["info", "--bundled", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["name"] == chat.engine.info.name
    assert main(["info", "--bundled", "mini"]) == 1
    assert "takes no MODEL" in capsys.readouterr().err
    assert recognise("mini").folder == recognise("geochat-mini").folder == bundled_path()
