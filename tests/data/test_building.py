"""Records become samples: what is asked, what is not, and of which images."""

from collections import Counter

import numpy as np
import pytest
from PIL import Image

from geochat.dialects import GEOCHAT
from geochat.errors import DataError, SettingsError
from geochat_data.building import BuildSettings, build_samples
from geochat_data.checking import check_samples
from geochat_data.questions import wordings
from geochat_data.readers import DataSource, read
from geochat_data.records import LabelledImage, LabelledObject
from geochat_data.samples import write_samples


def built(scenes, folder, **settings):
    return list(build_samples(scenes, folder / "images", BuildSettings(GEOCHAT, **settings)))


@pytest.fixture(scope="module")
def few(scenes):
    """Scenes enough for questions of every kind."""
    return scenes[:8]


def test_what_is_built_passes_the_check(few, tmp_path):
    samples = built(few, tmp_path)
    assert built(few, tmp_path) == samples, "the same seed gives the same samples"
    assert built(few, tmp_path, seed=1) != samples
    write_samples(tmp_path / "train.json", samples)
    report, files = check_samples(tmp_path / "train.json", tmp_path / "images", GEOCHAT)
    assert str(report) == f"{len(samples)} used, 0 skipped"
    assert len(files) > 6


def test_packed_samples_hold_an_images_questions(few, tmp_path):
    packed = built(few, tmp_path, packed=True, dialogues=0)
    assert len(packed) == len({sample.image for sample in packed})
    assert max(len(sample.messages) // 2 for sample in packed) in range(6, 11)
    single = built(few, tmp_path, dialogues=0)
    assert {len(sample.messages) for sample in single} == {2}
    assert any(len(sample.messages) > 4 for sample in built(few, tmp_path, dialogues=1))


def test_held_out_wordings_do_not_meet_those_of_training(few, tmp_path):
    def captions(wording):
        samples = built(few, tmp_path, wording=wording)
        return {m.text for s in samples for m in s.messages if m.text in every}

    pools = wordings.CAPTION
    every = {*pools.published, *pools.varied, *pools.held_out}
    assert captions("varied") <= {*pools.published, *pools.varied}
    assert captions("held out") <= set(pools.held_out)
    assert captions("held out")


def test_objects_too_small_to_be_written_are_not_asked_about(tmp_path):
    tiny = LabelledObject("car", ((10, 10), (11, 10), (11, 12), (10, 12)))
    image = LabelledImage(
        None, 1000, 1000, (tiny,), labelled=frozenset({"car"}), pixels=np.zeros((1000, 1000, 3), np.uint8)
    )
    assert built([image], tmp_path) == []


def test_absence_is_asked_about_in_measure(tmp_path):
    blank = LabelledImage(
        None, 64, 64, scene="forest", captions=("Trees.",), labelled=frozenset({"car", "ship"}),
        pixels=np.zeros((64, 64, 3), np.uint8),
    )  # fmt: skip
    answers = Counter("no" in s.messages[-1].text.split() for s in built([blank] * 100, tmp_path))
    assert answers[True] < 0.2 * answers[False] + 20


def test_files_elsewhere_and_bad_settings(tmp_path):
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    (tmp_path / "images").mkdir()
    image = LabelledImage(tmp_path / "a.png", 9, 9, scene="river")
    with pytest.raises(DataError, match="--image-root"):
        built([image], tmp_path)
    for bad in ({"questions": (3, 2)}, {"questions": (0, 2)}, {"dialogues": 2.0}):
        with pytest.raises(SettingsError):
            BuildSettings(GEOCHAT, **bad)


def test_what_a_cropping_model_cannot_see_is_not_asked_about(tmp_path):
    def thing(category, x):
        return LabelledObject(category, ((x, 40), (x + 20, 40), (x + 20, 60), (x, 60)))

    objects = (thing("ship", 90), thing("car", 2), thing("airplane", 45), thing("storage tank", 36))
    known = frozenset(item.category for item in objects)
    record = LabelledImage(None, 200, 100, objects, labelled=known, pixels=np.zeros((100, 200, 3), np.uint8))
    how = {"questions": (30, 30), "dialogues": 0.0, "shares": {"refer": 1, "count": 1, "presence": 1, "identify": 1}}
    for dialect, hidden in ((GEOCHAT, ()), (GEOCHAT.fitted(fit="crop", size=50), ("car", "storage tank"))):
        samples = build_samples([record] * 9, tmp_path, BuildSettings(dialect, **how))
        text = " ".join(message.text for sample in samples for message in sample.messages)
        for item in objects:
            assert (item.category in text) == (item.category not in hidden), item.category


def test_real_dota_patches_make_good_samples(shared, tmp_path):
    source = DataSource(shared / "imagery" / "evaluation-only" / "dota", split="test")
    samples = list(build_samples(read("boxes", source), source.path, BuildSettings(GEOCHAT)))
    write_samples(tmp_path / "f.jsonl", samples)
    assert len(samples) > 50
    assert check_samples(tmp_path / "f.jsonl", source.path, GEOCHAT)[0].skipped == 0
