"""The images of the bundled model: sources, classes, captions, views and the cache."""

import json
import random
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageDraw

from geochat.errors import DataError
from geochat.geometry import OrientedBox
from geochat_data.augment import Augmentation
from geochat_data.readers import Report
from geochat_data.records import LabelledImage, LabelledObject
from geochat_data.splits import UNSEEN_SCENES
from geochat_mini.cache import cached
from geochat_mini.caption_choice import agreed
from geochat_mini.classes import NAMES, NEAR, SCENES, SOURCE_SCENES, absent, against, classes_of, present
from geochat_mini.contrast import TEXT_LENGTH, text_of, text_tokens, train_text_tokenizer
from geochat_mini.orientation import LOOSE, oriented
from geochat_mini.sources import SOURCES, chosen, distinct, held_back, licence, read_photographs
from geochat_mini.views import FixedViews, Pool, Views, degraded, draw

SIDE = 112
PHOTOGRAPH = Augmentation(zoom=(0.6, 1.0), tilt=10)


def view(*boxes, category="airplane", labelled=frozenset({"airplane"}), **more):
    objects = tuple(LabelledObject(category, box.corners()) for box in boxes)
    pixels = np.zeros((SIDE, SIDE, 3), np.uint8)
    return LabelledImage(None, SIDE, SIDE, objects=objects, labelled=labelled, pixels=pixels, **more)


class TestSources:
    def test_permissive_ones_say_so_and_the_others_too(self):
        assert {source.name for source in chosen("permissive")} < {source.name for source in chosen("all")}
        assert all(source.permissive for source in chosen("permissive"))
        assert licence("permissive").startswith("Apache-2.0; ")
        assert licence("all").startswith("research use: ")
        assert all(source.terms in licence("all") for source in SOURCES)

    def test_train_parts_alone_are_read_and_copies_of_others_left_out(self, tmp_path):
        rng = np.random.default_rng(0)
        noise = [Image.fromarray(rng.integers(0, 255, (64, 64, 3), np.uint8)).resize((128, 128)) for _ in range(3)]
        ucm = tmp_path / "ucm"
        for part, pictures in (("train", noise), ("test", noise[:1])):
            (ucm / part).mkdir(parents=True)
            for number, picture in enumerate(pictures):
                picture.save(ucm / part / f"beach{number}.jpg")
        rows = [{"image": f"train/beach{n}.jpg", "split": "train", "scene": "beach", "captions": []} for n in range(3)]
        (ucm / "captions.jsonl").write_text("\n".join(map(json.dumps, rows)))
        for source in chosen("permissive")[1:]:
            (tmp_path / source.folder).mkdir(parents=True)
        read = read_photographs(tmp_path, "permissive", Report())
        assert [image.name for image in read] == [f"ucm/train/beach{n}.jpg" for n in range(3)]
        assert [path.name for path in held_back(tmp_path)] == ["beach0.jpg"]
        report = Report()
        assert [image.name for image in distinct(read, held_back(tmp_path), report)] == [r.name for r in read[1:]]
        assert "held back" in str(report)

    def test_an_airplane_gets_its_own_box(self):
        picture = np.full((200, 200, 3), 90, np.uint8)
        image = Image.fromarray(picture)
        layer = ImageDraw.Draw(image)
        layer.rectangle((60, 95, 140, 105), fill="white")  # fuselage
        layer.polygon([(115, 100), (100, 60), (92, 60), (98, 100), (92, 140), (100, 140)], fill="white")
        turned = image.rotate(-30, fillcolor=(90, 90, 90))
        shown = np.argwhere(np.asarray(turned)[..., 0] > 150)
        (y1, x1), (y2, x2) = shown.min(0), shown.max(0)
        upright = LabelledObject("airplane", OrientedBox(float(x1), float(y1), float(x2), float(y2)).corners())
        record = LabelledImage(None, 200, 200, objects=(upright,), pixels=np.asarray(turned))
        found = OrientedBox.from_polygon(oriented(record).objects[0].polygon)
        assert abs((found.angle - 30 + 45) % 90 - 45) < 6
        flat = replace(record, pixels=picture)
        assert oriented(flat).objects[0].attributes == (LOOSE,)


class TestClasses:
    def test_names_mean_one_class_each_and_every_sources_names_are_known(self):
        names = [name for scene, others in SCENES.items() for name in (scene, *others)]
        assert len(names) == len(set(names))
        assert len(NAMES) >= 40
        assert all(classes_of(name) for source in SOURCE_SCENES.values() for name in source)
        assert all(scene in NEAR[other] for scene in NAMES for other in NEAR[scene])
        for source, own in SOURCE_SCENES.items():
            for name in own:
                assert not set(classes_of(name)) & against(name, source)

    def test_captions_and_classes_say_what_is_there_and_what_is_not(self):
        assert "ship" in absent("desert", ("yellow dunes .",))
        assert "building" not in absent("mountain", ("a house on a mountain .",))
        assert not absent("nowhere", ())
        assert present("airport", ("some planes here .", "many planes .", "a runway .")) == {"airplane"}
        assert present("storage tanks", ()) == {"storage tank"}


class TestCaptions:
    def test_no_text_is_given_for_scenes_that_stay_unseen(self):
        rng = random.Random(0)
        assert all(text_of(view(scene=scene, captions=("A place .",)), rng) is None for scene in UNSEEN_SCENES)
        assert text_of(view(scene="beach", captions=("A place .",)), rng)

    def test_texts_are_framed(self):
        tokenizer = train_text_tokenizer(["an aerial photo of beach."] * 10)
        tokens = text_tokens(tokenizer, "An aerial photo of BEACH.")["input_ids"]
        assert len(tokens) == TEXT_LENGTH
        assert tokens[0] == tokenizer.bos_token_id
        assert tokenizer.eos_token_id in tokens

    def test_the_caption_that_says_what_the_others_say_is_taught(self):
        planes = ("Two planes .", "Two planes on the ground .", "A photo .", "Two planes are on the ground .")
        odd = view(captions=planes, scene="airplane")
        other = view(captions=("A beach with white sand .", "A photo ."), scene="beach")
        chosen_ones = agreed([odd, other, view()])
        assert chosen_ones[0].captions == ("Two planes on the ground .",)
        assert len(chosen_ones[1].captions) == 1
        assert chosen_ones[2].captions == ()

    def test_of_captions_that_agree_alike_the_one_its_scene_shares_is_taught(self):
        shore = [view(captions=(f"Sand {n} .", "A beach .", f"Waves {n} ."), scene="beach") for n in ("a", "b", "c")]
        assert all(image.captions == ("A beach .",) for image in agreed(shore))


class TestViews:
    def test_views_depend_on_their_index_alone(self):
        image = view(OrientedBox(30, 40, 80, 60), scene="beach")
        pools = [Pool([image], 1.0, PHOTOGRAPH, focus=0.5)]
        fixed = FixedViews(pools, 3, 5, weight=1.0)

        def drawn():
            return Views(pools, lambda v, _, n: (v.objects, n), size=56, length=20, seed=1, fixed=fixed)

        first, second = drawn(), drawn()
        assert [first[i] for i in range(20)] == [second[i] for i in reversed(range(20))][::-1]
        numbers = {first[i][1] for i in range(20)}
        assert None in numbers
        assert len(numbers) > 3
        shown = {n: objects for objects, n in (first[i] for i in range(20)) if n is not None}
        assert all(fixed.view(n, 56).objects == objects for n, objects in shown.items())

    def test_an_object_that_is_looked_at_has_the_size_asked_for_and_is_whole(self):
        image = view(OrientedBox(50, 50, 62, 62))
        pool = Pool([image], 1.0, PHOTOGRAPH, focus=1.0, extent=(0.1, 0.3))
        for seed in range(20):
            (thing,) = draw([pool], 56, random.Random(seed)).objects
            xs, ys = zip(*thing.polygon, strict=True)
            assert not thing.truncated
            assert 0.09 < (max(xs) - min(xs)) / 56 < 0.45
            assert min(ys) > -0.5

    def test_a_degraded_view_has_its_size_and_the_same_chance_the_same_wear(self):
        picture = Image.effect_noise((40, 40), 60).convert("RGB")
        for seed in range(12):
            worn = degraded(picture, random.Random(seed))
            assert worn.size == (40, 40)
            assert worn.tobytes() == degraded(picture, random.Random(seed)).tobytes()


def test_a_cache_makes_what_is_missing_and_nothing_else(tmp_path):
    made = []

    def make(number):
        made.append(number)
        box = OrientedBox(10, 20, 30, 40, 15)
        noise = np.full((SIDE, SIDE, 3), number, np.uint8)
        yield replace(view(box, scene="beach", captions=("Sand .",), name=f"{number}"), pixels=noise)

    first = cached(tmp_path / "images", 3, make)
    assert made == [0, 1, 2]
    (tmp_path / "images" / "0001" / "pixels.bin").unlink()
    (tmp_path / "images" / "0001" / "labels.jsonl").unlink()
    (tmp_path / "images" / "0001").rmdir()
    again = cached(tmp_path / "images", 3, make)
    assert made == [0, 1, 2, 1]
    assert again == first
    assert [int(image.pixels[0, 0, 0]) for image in again] == [0, 1, 2]
    (tmp_path / "images" / "0002" / "labels.jsonl").write_text("{}")
    with pytest.raises(DataError, match="is damaged"):
        cached(tmp_path / "images", 3, make)
