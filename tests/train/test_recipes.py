"""Recipes: every shipped one loads, what is given wins, what is wrong is named."""

import pytest
import yaml
from accelerate.commands.config.config_args import load_config_from_file

from geochat.errors import SettingsError
from geochat_train.recipe import METHODS
from geochat_train.recipe_files import configs, load_recipe, shipped, to_yaml

NAMES = ["clip", "full", "grpo", "lora-7b", "lora-mini", "projector", "qlora-7b", "small-align", "small-lora"]


def test_the_shipped_ones():
    assert sorted(shipped()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_shipped_recipe_loads_and_survives_writing(name, tmp_path):
    method = yaml.safe_load(shipped()[name].read_text())["method"]
    recipe = load_recipe(method, name)
    copy = tmp_path / "copy.yaml"
    copy.write_text(to_yaml(recipe))
    assert load_recipe(method, copy) == recipe


def test_the_published_recipe():
    recipe = load_recipe("lora", "lora-7b")
    assert (recipe.rank, recipe.alpha, recipe.dropout) == (64, 16, 0.05)
    assert recipe.targets == ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    assert (recipe.epochs, recipe.schedule, recipe.warmup) == (1, "cosine", 0.03)
    assert recipe.batch_size * 3 * recipe.accumulation(3) == 144


@pytest.mark.parametrize("name", ["ddp", "fsdp2", "zero2", "zero3"])
def test_accelerate_reads_its_configs(name):
    config = load_config_from_file(str(configs() / "accelerate" / f"{name}.yaml"))
    assert config.num_processes == 8


def test_what_is_given_wins_over_the_file(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("rank: 8\nepochs: 2\nlearning_rate: 1e-4\nadapt: [projector, vision_tower]\n")
    recipe = load_recipe("lora", file, {"rank": "16", "steps": "5", "keep_best": "false"})
    assert (recipe.rank, recipe.learning_rate, recipe.adapt) == (16, 1e-4, ("projector", "vision_tower"))
    assert (recipe.epochs, recipe.steps) == (None, 5)


@pytest.mark.parametrize(
    ("method", "text", "given", "message"),
    [
        ("lora", "lerning_rate: 1", {}, "unknown setting 'lerning_rate'; did you mean 'learning_rate'"),
        ("lora", "altitude: 1", {}, "unknown setting 'altitude'; it may hold model, data"),
        ("full", "rank: 8", {}, "'rank', a setting of lora, qlora, grpo, not of full"),
        ("full", "method: lora", {}, "a recipe for 'lora', not 'full'; run `geochat train lora`"),
        ("lora", "rank: many", {}, "rank='many' is not a whole number"),
        ("lora", "rank: 1.5", {}, "rank=1.5 is not a whole number"),
        ("lora", "rank: true", {}, "rank=True is not a whole number"),
        ("lora", "share_images: 3", {}, "share_images=3 is not true or false"),
        ("lora", "schedule: steep", {}, "schedule='steep' is not one of cosine, linear, constant"),
        ("lora", "epochs: 1\nsteps: 2", {}, "epochs=1.0 and steps=2 contradict"),
        ("lora", "", {"epochs": "1", "steps": "2"}, "epochs=1.0 and steps=2 contradict"),
        ("lora", "batch_size: 3\neffective_batch: 8", {}, "effective_batch=8 is no multiple of batch_size=3"),
        ("lora", "adapt: [projector, wings]", {}, "adapt='wings' is not one of"),
        ("lora", "adapt: []", {}, "adapt is empty"),
        ("lora", "adapt: [language_model]\nprojector_rate: 1e-3", {}, "projector_rate=0.001 has no effect"),
        ("lora", "evaluate_every: 5", {}, "evaluate_every=5 needs validation data"),
        ("lora", "validation: v.jsonl\nkeep_best: true", {}, "keep_best needs evaluate_every"),
        ("lora", "share_images: true\nattention: flash_attention_2", {}, "share_images needs a mask"),
        ("lora", "dropout: 1", {}, "dropout=1.0 is no share"),
        ("lora", "learning_rate: 0", {}, "learning_rate=0.0 is not between 0 and 1"),
        ("lora", "warmup: 1", {}, "warmup=1.0 is no share"),
        ("lora", "[1, 2]", {}, "holds no settings"),
        ("lora", "a: [", {}, "cannot be read"),
    ],
)
def test_what_is_wrong_is_named(method, text, given, message, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(text or "{}")
    with pytest.raises(SettingsError) as caught:
        load_recipe(method, file, given)
    assert message in str(caught.value)


def test_a_recipe_that_is_not_there():
    with pytest.raises(SettingsError, match="no recipe 'lora-8b'; give a file, or one of clip, full, grpo, lora-7b"):
        load_recipe("lora", "lora-8b")


def test_processes_that_cannot_share_a_batch():
    recipe = load_recipe("lora", None, {"batch_size": 2, "effective_batch": 16})
    assert recipe.accumulation(4) == 2
    with pytest.raises(SettingsError, match="effective_batch=16 is no multiple of batch_size=2 times 3 processes"):
        recipe.accumulation(3)


@pytest.mark.parametrize("method", METHODS)
def test_every_setting_says_what_it_is(method):
    from geochat_train.recipe import settings_of

    for setting in settings_of(METHODS[method]):
        assert setting.metadata["help"]
