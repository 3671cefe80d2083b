"""All stages of the bundled model's recipe in small, on imagery made up here and teachers that know nothing."""

import json
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from geochat import GeoChat
from geochat.clip import DualEncoder
from geochat_data.records import LabelledImage
from geochat_mini import __main__ as recipe
from geochat_mini import recipe as stages
from geochat_mini import teacher_cache, text_teacher
from geochat_mini.log import entries
from geochat_mini.measure import BLIND, measure
from geochat_mini.sources import chosen
from geochat_mini.trials import REFUSED

SCENES = ("beach", "forest", "airplane", "river", "harbor")


class Ignorant:
    """In place of the ImageNet teacher: the mean colours of patches, repeated."""

    def __init__(self, _package):
        pass

    def __call__(self, views):
        pixels = torch.from_numpy(views).float().permute(0, 3, 1, 2) / 255
        maps = functional.adaptive_avg_pool2d(pixels, 5).repeat(1, 683, 1, 1)[:, :2048]
        return maps.mean((2, 3)), maps


@pytest.fixture
def imagery(tmp_path):
    """UC Merced's layout with twenty photographs of noise, and the other permissive sources empty."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "imagery" / "ucm"
    captions, boxes = [], []
    for number in range(20):
        scene = SCENES[number % len(SCENES)]
        name = f"train/{scene}/{scene}{number + 60}.jpg"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        noise = Image.fromarray(rng.integers(0, 255, (16, 16, 3), np.uint8)).resize((256, 256))
        noise.save(folder / name)
        said = {"image": name, "split": "train", "scene": scene, "captions": [f"A {scene} .", f"It is a {scene} ."]}
        captions.append(said)
        if scene == "airplane":
            polygon = [[40, 40], [140, 40], [140, 130], [40, 130]]
            boxes.append({"image": name, "objects": [{"category": "airplane", "polygon": polygon}], "ignore": []})
    (folder / "captions.jsonl").write_text("\n".join(map(json.dumps, captions)))
    (folder / "boxes.jsonl").write_text("\n".join(map(json.dumps, boxes)))
    for source in chosen("permissive")[1:]:
        (folder.parent / source.folder).mkdir(parents=True)
    return folder.parent


@pytest.mark.slow
def test_all_stages_in_small_each_going_on_where_it_was_stopped(imagery, tmp_path, monkeypatch):
    monkeypatch.setattr(teacher_cache, "Teacher", Ignorant)
    monkeypatch.setattr(stages, "common_words", lambda _folder: ["water", "tree"])
    monkeypatch.setattr(text_teacher, "_encode", lambda texts, _: functional.normalize(torch.randn(len(texts), 384)))
    out = tmp_path / "out"
    words = ["--imagery", str(imagery), "--teacher", "none", "--text-teacher", "none", "--out", str(out)]
    words += ["--sources", "permissive", "--composites", "2", "--mosaics", "2", "--rendered", "4", "--taught", "8"]
    words += ["--perceive-steps", "2", "--perceive-batch", "2", "--instruct-steps", "2", "--instruct-batch", "2"]
    words += ["--encode-steps", "2"]
    for until in ("teach", "perceive", "instruct", "encode"):
        monkeypatch.setattr(sys, "argv", ["geochat_mini", *words, "--until", until])
        recipe.main()
    assert list(entries(out)) == []  # two steps are too few for a line of the log
    names = [line.split("  ")[1] for line in (out / "manifest.sha256").read_text().splitlines()]
    assert 10 < len(names) <= 20  # less those kept for validation
    assert all(name.startswith("ucm/train/") for name in names)
    chat = GeoChat.from_pretrained(out / "checkpoint")
    assert chat.engine.info.settings.licence.startswith("Apache-2.0; ")
    answer = chat.ask(np.zeros((64, 64, 3), np.uint8), "Is this a beach or a forest?")
    assert answer.choice in {"a beach", "a forest", "beach", "forest"}
    encoder = DualEncoder.from_pretrained(str(out / "clip"))
    assert encoder.dimension == 256
    asked = LabelledImage(None, 64, 64, scene="beach", pixels=np.zeros((64, 64, 3), np.uint8), name="ucm/beach1.jpg")
    counts = measure(chat, asked, side=None)
    assert counts["scene, ucm"][1] == 1
    assert counts[BLIND + "scene, ucm"] == (1 / 21, 1)
    assert counts[REFUSED] == (0, 4)  # under the source's names, under others, and free in two wordings
    before = (out / "checkpoint" / "config.json").stat().st_mtime_ns
    monkeypatch.setattr(sys, "argv", ["geochat_mini", *words, "--until", "perceive"])
    recipe.main()  # nothing is left to do
    assert (out / "checkpoint" / "config.json").stat().st_mtime_ns == before
