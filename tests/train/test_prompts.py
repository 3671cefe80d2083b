"""Learning prompts: the published schedule, few shots, views, and that it learns what can be learned."""

import math

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from geochat.clip import CoOp, PromptSettings
from geochat.errors import DataError, SettingsError
from geochat_train.prompts import (
    Features,
    LearningSettings,
    Trial,
    base_to_new,
    learn,
    published,
    read_scenes,
    run_trial,
)
from geochat_train.prompts.trials import BaseToNew, halves, score, zero_shot

CLASSES = ("airport", "golf course", "port")


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Three folders of twelve pictures, each class of a colour."""
    root, draw = tmp_path_factory.mktemp("scenes"), np.random.default_rng(0)
    for number, name in enumerate(("airport", "golfcourse", "port")):
        (root / name).mkdir()
        for image in range(12):
            picture = draw.integers(0, 120, (36, 40 + image, 3), np.uint8)
            picture[..., number] += 130
            Image.fromarray(picture).save(root / name / f"{name}{image:02}.png")
    return root


def test_the_schedule_is_as_published():
    assert [published("coop", shots).epochs for shots in (1, 2, 4, 8, 16)] == [50, 100, 100, 200, 200]
    assert (published("cocoop", 16).epochs, published("cocoop", 16).batch_size) == (10, 1)
    settings = published("coop", 1)
    assert (settings.batch_size, settings.rate, settings.rate_at(0), settings.rate_at(1)) == (32, 0.002, 1e-5, 0.002)
    assert settings.rate_at(26) == pytest.approx(0.001)
    assert settings.rate_at(49) == pytest.approx(0.002 * (1 + math.cos(math.pi * 48 / 50)) / 2)


def test_few_are_the_same_with_a_seed_and_nested(scenes):
    images = read_scenes(scenes, CLASSES)
    assert images.classes == CLASSES
    assert [images.labels.count(number) for number in range(3)] == [12, 12, 12]
    one, four = images.few(1, 3), images.few(4, 3)
    assert images.few(4, 3) == four != images.few(4, 4)
    assert set(one.files) < set(four.files)
    assert [four.labels.count(number) for number in range(3)] == [4, 4, 4]
    assert all(
        file.parent.name == CLASSES[label].replace(" ", "") for file, label in zip(four.files, four.labels, strict=True)
    )
    with pytest.raises(DataError, match="'airport' has 12 images and 13"):
        images.few(13, 0)
    some = images.of(("port", "airport"))
    assert set(zip((file.parent.name for file in some.files), some.labels, strict=True)) == {
        ("port", 0),
        ("airport", 1),
    }
    assert images.without({"port03.png"}).only({"port03.png", "port04.png"}).files == (scenes / "port" / "port04.png",)


def test_folders_that_hold_no_such_classes(scenes, tmp_path):
    with pytest.raises(DataError, match="no images of 'harbor'"):
        read_scenes(scenes, ["port", "harbor"])
    with pytest.raises(DataError, match="holds no folders"):
        read_scenes(tmp_path)


def test_views_are_encoded_once_and_the_first_is_the_image(scenes, encoder, monkeypatch):
    files = read_scenes(scenes).files[:5]
    features = Features(encoder)
    views = features.views(files, 3)
    assert views.shape == (3, 5, encoder.dimension)
    torch.testing.assert_close(views[0], encoder.encode_images(files), atol=1e-5, rtol=0)
    assert (views[1] - views[0]).abs().max() > 1e-3
    assert (views[1] - views[2]).abs().max() > 1e-3
    torch.testing.assert_close(Features(encoder).views(files[2:], 3), views[:, 2:], atol=1e-5, rtol=0)
    assert (Features(encoder, seed=1).views(files, 3)[1] - views[1]).abs().max() > 1e-3
    monkeypatch.setattr(type(encoder), "encode_pixels", lambda *_: pytest.fail("encoded again"))
    assert torch.equal(features.views(files[::-1], 3), views.flip(1))


def test_the_loop_is_sgd_with_the_schedule(encoder):
    """Against torch's optimizer written out on the only batch."""
    torch.manual_seed(0)
    features, labels = functional.normalize(torch.randn(1, 6, 32), dim=-1), torch.tensor([0, 1, 2, 0, 1, 2])
    settings = LearningSettings(epochs=4, rate=0.1)
    prompts = CoOp(encoder, CLASSES, PromptSettings(4))
    context, momentum = prompts.context.detach().clone(), torch.zeros_like(prompts.context)
    before = {name: tensor.clone() for name, tensor in encoder.model.state_dict().items()}
    losses = learn(prompts, features, labels, settings)
    for epoch in range(4):
        direct = CoOp(encoder, CLASSES, PromptSettings(4), context.clone())
        loss = functional.cross_entropy(direct(features[0]), labels)
        assert losses[epoch] == pytest.approx(loss.item(), abs=1e-4)
        (gradient,) = torch.autograd.grad(loss, direct.context)
        momentum = 0.9 * momentum + gradient + 5e-4 * context
        rate = 1e-5 if epoch == 0 else 0.05 * (1 + math.cos(math.pi * (epoch - 1) / 4))
        context -= rate * momentum
    torch.testing.assert_close(prompts.context.detach(), context, atol=1e-4, rtol=1e-3)
    assert all(torch.equal(tensor, before[name]) for name, tensor in encoder.model.state_dict().items())


def test_a_batch_that_is_not_full_is_left_out(encoder):
    prompts, sizes = CoOp(encoder, CLASSES, PromptSettings(2)), []
    features, labels = functional.normalize(torch.randn(2, 9, 32), dim=-1), torch.arange(9) % 3
    prompts.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    learn(prompts, features, labels, LearningSettings(epochs=1, batch_size=4))
    learn(prompts, features, labels, LearningSettings(epochs=1, batch_size=32))
    assert sizes == [4, 4, 9]


@pytest.mark.parametrize("method", ["coop", pytest.param("cocoop", marks=pytest.mark.slow)])
def test_it_learns_and_repeats(method, scenes, encoder):
    images, features = read_scenes(scenes, CLASSES), Features(encoder)
    learning = LearningSettings(epochs=12, batch_size=4, rate=0.05, views=2, seed=2)
    trial, losses = Trial(method, PromptSettings(4), learning, shots=8), []
    prompts = run_trial(trial, images, features, lambda _, loss: losses.append(loss))
    assert losses[-1] < 0.5 * losses[0]
    assert score(prompts, images, features) > 0.9 > zero_shot(images, features, ["a photo of {}."])
    again = run_trial(trial, images, features)
    assert torch.equal(again.context, prompts.context)
    assert score(prompts, images.of(("port", "airport")), features) > 0.5


def test_base_to_new(scenes, encoder):
    images = read_scenes(scenes, CLASSES)
    trial = Trial("coop", PromptSettings(words="a photo of a"), LearningSettings(epochs=2, views=1), shots=2)
    found = base_to_new(trial, images, images, Features(encoder))
    assert found.new == 1.0  # one class
    assert 0 <= found.base <= 1
    assert BaseToNew(0.5, 1.0).harmonic == pytest.approx(2 / 3)
    assert BaseToNew(0.0, 1.0).harmonic == 0
    assert halves("abcde") == (("a", "b", "c"), ("d", "e"))
    with pytest.raises(SettingsError, match="no second half"):
        halves("a")
    own = Trial("coop", PromptSettings(2, class_specific=True), LearningSettings(epochs=1), shots=1)
    with pytest.raises(SettingsError, match="no other classes can be told apart"):
        base_to_new(own, images, images, Features(encoder))


@pytest.mark.parametrize("wrong", [{"epochs": 0}, {"batch_size": 0}, {"views": 0}, {"rate": 0.0}, {"rate": math.nan}])
def test_impossible_schedules(wrong):
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        LearningSettings(**wrong)
    with pytest.raises(SettingsError, match="unknown method"):
        Trial("coop2", PromptSettings(), LearningSettings())
    with pytest.raises(SettingsError, match="shots=-1"):
        Trial("coop", PromptSettings(), LearningSettings(), -1)


def test_a_rate_that_breaks_it_is_told(encoder):
    features, labels = functional.normalize(torch.randn(1, 6, 32), dim=-1), torch.arange(6) % 3
    prompts = CoOp(encoder, CLASSES, PromptSettings(2), torch.full((2, 64), 1e38))
    with pytest.raises(SettingsError, match="take a lower rate"):
        learn(prompts, features, labels, LearningSettings(epochs=3, rate=1e30))
