"""Zero-shot classification, against CLIP's formula stated with transformers alone."""

import json
import sqlite3
import threading

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import CLIPModel, SiglipModel
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil

from geochat.clip import REMOTE_SENSING, Classifier, DualEncoder, FeatureCache, read_templates
from geochat.errors import CheckpointError, ImageError, PromptError, SettingsError
from geochat.imagery import open_image

CLASSES = ["airport", "harbor", "golf_course"]


def test_probabilities_are_clips_formula(encoder, tiny_clip, pictures):
    model, processor = CLIPModel.from_pretrained(tiny_clip), CLIPImageProcessorPil.from_pretrained(tiny_clip)
    templates = ["a satellite photo of {}.", "an aerial view of a {}."]
    pixels = processor(images=[Image.fromarray(picture) for picture in pictures], return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        images = model.get_image_features(pixels).pooler_output
        images = images / images.norm(dim=-1, keepdim=True)
        rows = []
        for name in ("airport", "harbor", "golf course"):
            features = []
            for template in templates:
                ids = torch.tensor([encoder.tokenizer(template.replace("{}", name))["input_ids"]])
                feature = model.get_text_features(ids).pooler_output[0]
                features.append(feature / feature.norm())
            mean = torch.stack(features).mean(0)
            rows.append(mean / mean.norm())
        expected = (model.logit_scale.exp() * images @ torch.stack(rows).T).softmax(-1)
    found = list(Classifier.zero_shot(encoder, CLASSES, templates).classify_many(pictures, batch_size=2))
    np.testing.assert_allclose([list(each.probabilities.values()) for each in found], expected, atol=1e-5)
    assert [each.label for each in found] == [CLASSES[row] for row in expected.argmax(-1)]
    assert all(list(each.probabilities) == CLASSES for each in found)


def test_siglip_is_its_own_softmax_over_cosines(siglip, siglip_path, pictures):
    model = SiglipModel.from_pretrained(siglip_path).eval()
    texts = ["a photo of airport", "a photo of harbor"]
    ids = torch.tensor(siglip.tokenizer(texts, padding="max_length", max_length=16)["input_ids"])
    with torch.no_grad():
        logits = model(input_ids=ids, pixel_values=siglip.pixels(pictures)).logits_per_image
    classifier = Classifier.zero_shot(siglip, ["airport", "harbor"], ["a photo of {}"])
    found = [list(each.probabilities.values()) for each in classifier.classify_many(pictures)]
    np.testing.assert_allclose(found, logits.softmax(-1), atol=1e-5)


def test_an_image_is_what_it_is_alone(encoder, pictures, tmp_path):
    classifier = Classifier.zero_shot(encoder, CLASSES)
    many = [each.probabilities["airport"] for each in classifier.classify_many(pictures, batch_size=3)]
    assert many == pytest.approx(
        [classifier.classify(picture).probabilities["airport"] for picture in pictures], abs=1e-6
    )
    Image.fromarray(pictures[0]).save(tmp_path / "a.png")
    found = classifier.classify(tmp_path / "a.png")
    assert found.image == str(tmp_path / "a.png")
    assert found.probability == pytest.approx(max(found.probabilities.values()))
    assert found.ranked()[0] == (found.label, found.probability)
    assert sum(found.probabilities.values()) == pytest.approx(1)
    assert classifier.classify(open_image(pictures[0])).probabilities["airport"] == pytest.approx(many[0], abs=1e-6)


def test_a_broken_image_is_left_out_or_raised(encoder, pictures, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    classifier = Classifier.zero_shot(encoder, CLASSES)
    images = [pictures[0], tmp_path / "broken.png", "gone.tif", pictures[1]]
    left_out = []
    found = list(classifier.classify_many(images, on_error=lambda image, error: left_out.append((image, str(error)))))
    assert len(found) == 2
    assert [image for image, _ in left_out] == images[1:3]
    assert "gone.tif" in left_out[1][1]
    with pytest.raises(ImageError, match=r"broken\.png"):
        list(classifier.classify_many(images))


def test_features_are_encoded_once(encoder, pictures, tmp_path, monkeypatch):
    files = [tmp_path / f"{number}.png" for number in range(len(pictures))]
    for file, picture in zip(files, pictures, strict=True):
        Image.fromarray(picture).save(file)
    cache = FeatureCache(encoder, tmp_path / "cache")
    first = list(Classifier.zero_shot(encoder, CLASSES).classify_many(files, cache=cache))
    monkeypatch.setattr(DualEncoder, "encode_pixels", lambda *_: pytest.fail("encoded again"))
    again = FeatureCache(encoder, tmp_path / "cache")
    assert list(Classifier.zero_shot(encoder, CLASSES).classify_many(files, cache=again)) == first
    other = list(Classifier.zero_shot(encoder, ["forest", "port"]).classify_many(files, cache=again))
    assert [each.image for each in other] == [each.image for each in first]
    cache.close()
    again.close()


def test_a_changed_image_or_stretch_is_encoded_again(encoder, pictures, tmp_path):
    Image.fromarray(pictures[0]).save(tmp_path / "a.png")
    cache, classifier = FeatureCache(encoder, tmp_path / "cache"), Classifier.zero_shot(encoder, CLASSES)

    def classified(**how):
        opener = (lambda image: open_image(image, **how)) if how else None
        return next(classifier.classify_many([tmp_path / "a.png"], cache=cache, opener=opener)).probabilities

    first = classified()
    assert classified(window=(0, 0, 20, 20)) != first
    assert classified(bands=(1, 1, 1)) != first
    Image.fromarray(pictures[1]).save(tmp_path / "a.png")
    assert classified() != first
    cache.close()


def test_a_cache_that_cannot_be_used_is_no_error(encoder, pictures, tmp_path):
    (tmp_path / "taken").write_text("a file")
    classifier = Classifier.zero_shot(encoder, CLASSES)
    expected = classifier.classify(pictures[0]).probabilities
    assert next(
        classifier.classify_many(pictures[:1], cache=FeatureCache(encoder, tmp_path / "taken"))
    ).probabilities == (pytest.approx(expected))
    FeatureCache(encoder, tmp_path / "cache").close()
    (database,) = (tmp_path / "cache").iterdir()
    database.write_bytes(b"no database at all" * 100)
    assert next(
        classifier.classify_many(pictures[:1], cache=FeatureCache(encoder, tmp_path / "cache"))
    ).probabilities == (pytest.approx(expected))


def test_a_cache_serves_threads(encoder, tmp_path):
    cache = FeatureCache(encoder, tmp_path)

    def work(number):
        cache.put([f"{number}"], torch.full((1, 32), float(number)))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [cache.get(f"{number}")[0].item() for number in range(8)] == list(range(8))
    assert cache.get("other") is None
    cache.close()
    with sqlite3.connect(next(tmp_path.glob("*.sqlite"))) as kept:
        assert kept.execute("SELECT count(*) FROM features").fetchone() == (8,)
    kept.close()


@pytest.mark.parametrize(
    ("classes", "templates", "error", "message"),
    [
        ([], REMOTE_SENSING, SettingsError, "no classes"),
        (["a", "b", "a"], REMOTE_SENSING, SettingsError, "'a' is named twice"),
        (["a", " "], REMOTE_SENSING, SettingsError, "empty name"),
        (["a"], [], PromptError, "no templates"),
        (["a"], ["a photo"], PromptError, "'a photo' has no {}"),
        (["airport"], ["of " * 70 + "{}"], PromptError, "longer than the 64 tokens"),
    ],
)
def test_impossible_classes_and_templates(classes, templates, error, message, encoder):
    with pytest.raises(error, match=message):
        Classifier.zero_shot(encoder, classes, templates)


def test_templates_are_names_files_and_sentences(tmp_path):
    (tmp_path / "mine.txt").write_text("one {}\n\n two {} \n")
    assert read_templates(["satellite", str(tmp_path / "mine.txt"), "three {}", "one {}"]) == (
        *("a satellite photo of {}.", "one {}", "two {}", "three {}"),
    )
    with pytest.raises(PromptError, match=r"gone\.txt.*remote-sensing, photo, satellite"):
        read_templates(["gone.txt"])
    (tmp_path / "mine.txt").write_text("none\n")
    with pytest.raises(PromptError, match=r"'none' has no \{\}"):
        read_templates([str(tmp_path / "mine.txt")])


def test_no_bundled_encoder_names_the_remedy(monkeypatch, tmp_path):
    monkeypatch.setattr("geochat.clip.loading.bundled_path", lambda: tmp_path / "gone")
    with pytest.raises(CheckpointError, match=r"no dual encoder in .*gone.*name one"):
        DualEncoder.from_pretrained()


def test_folders_that_are_no_dual_encoder(tmp_path, tiny_clip):
    with pytest.raises(CheckpointError, match="no checkpoint directory 'gone'"):
        DualEncoder.from_pretrained("gone")
    with pytest.raises(CheckpointError, match="name the weights file itself"):
        DualEncoder.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(CheckpointError, match="'llama' model; expected 'clip' or 'siglip'"):
        DualEncoder.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"config\.json is not valid JSON"):
        DualEncoder.from_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="says its activation in config"):
        DualEncoder.from_pretrained(tiny_clip, activation="gelu")


def test_missing_and_foreign_tensors_are_named(tmp_path, encoder, tiny_clip):
    for file in tiny_clip.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    state = encoder.model.state_dict()
    encoder.model.save_pretrained(tmp_path, state_dict=state | {"extra.weight": torch.zeros(1)})
    with pytest.raises(CheckpointError, match=r"extra\.weight has no place"):
        DualEncoder.from_pretrained(tmp_path)
    del state["visual_projection.weight"]
    encoder.model.save_pretrained(tmp_path, state_dict=state)
    with pytest.raises(CheckpointError, match=r"visual_projection\.weight is missing"):
        DualEncoder.from_pretrained(tmp_path)


def test_a_foreign_tokenizer_is_refused(tmp_path, tiny_clip, siglip_path):
    for file in tiny_clip.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    config["text_config"]["vocab_size"] = 100
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="533 tokens and the model knows 100"):
        DualEncoder.from_pretrained(tmp_path)


def test_one_encoder_serves_threads(encoder, pictures):
    expected = Classifier.zero_shot(encoder, CLASSES).classify(pictures[0]).probabilities
    found = []

    def work(number):
        longer = Classifier.zero_shot(encoder, [*CLASSES, "port " * (number + 1)], ["a {}"])
        found.append(Classifier.zero_shot(encoder, CLASSES).classify(pictures[0]).probabilities)
        assert longer.classify(pictures[1]).label in longer.classes

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert all(each == pytest.approx(expected, abs=1e-5) for each in found)


@pytest.mark.parametrize("source", ["tiny_clip", "siglip_path"])
def test_pixels_are_the_image_processors_to_the_bit(source, request, pictures):
    encoder = DualEncoder.from_pretrained(request.getfixturevalue(source), device="cpu")
    expected = encoder.processor(images=[Image.fromarray(picture) for picture in pictures], return_tensors="pt")
    assert torch.equal(encoder.pixels(pictures), expected["pixel_values"])


@pytest.mark.parametrize("size", [(256, 256), (300, 144), (143, 900), (1, 9), (144, 144)])
def test_letterboxed_pixels_are_the_image_processors_but_for_a_level(size):
    encoder = DualEncoder.from_pretrained(device="cpu")
    coarse = np.random.default_rng(0).integers(0, 256, (12, 12, 3), np.uint8)
    picture = Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)
    as_it_is = {"do_rescale": False, "do_normalize": False, "return_tensors": "np"}
    levels = encoder.processor(images=[picture], **as_it_is)["pixel_values"][0].astype(int)
    off = np.abs(encoder.square(picture).numpy() - levels)
    assert off.max() <= 1
    assert (off > 0).mean() < 0.01
    pixels = torch.as_tensor(encoder.processor(images=[picture], return_tensors="np")["pixel_values"])
    assert (encoder.encode_pixels(pixels) @ encoder.encode_images([picture]).T).item() > 0.9999


def test_an_image_is_letterboxed_where_the_folder_says_so(tiny_clip, tmp_path, encoder):
    for file in tiny_clip.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    LlavaImageProcessorPil(
        do_pad=True, size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
    ).save_pretrained(tmp_path)
    wide = np.full((20, 80, 3), 250, np.uint8)
    padded = DualEncoder.from_pretrained(tmp_path, device="cpu").pixels([wide])[0]
    assert padded[:, 0].abs().max() < 0.05  # CLIP's mean colour above the image
    assert padded[:, 16].min() > 1
    assert encoder.pixels([wide])[0].min() > 1
