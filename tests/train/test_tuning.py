"""Adapters are saved whole and load in plain PEFT."""

import json
from dataclasses import replace

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForImageTextToText

from geochat.checkpoints import load, save_checkpoint
from geochat.cli import main
from geochat.errors import SettingsError
from geochat.geometry import AngleConvention
from geochat.models import Settings
from geochat_data.encoding import Collator
from geochat_train.tuning import tune
from geochat_train.tuning.packing import RowCollator
from geochat_train.tuning.rows import read_rows
from geochat_train.tuning.run import taught


@pytest.fixture(scope="module")
def said(base, material):
    """Logits and loss of a model on some samples."""
    processor = load(base, device="cpu").processor
    rows = read_rows(material / "train.jsonl", None, processor, max_length=400)
    batch = RowCollator(Collator(processor, material, 400))([rows[index] for index in (0, 1, 2, 3)])

    def compute(model):
        with torch.inference_mode():
            return model(**batch).logits

    return compute


ADAPTED = [
    (("language_model",), {"lora language_model"}),
    (("language_model", "projector"), {"lora language_model", "multi_modal_projector"}),
    (("vision_tower",), {"lora vision_tower"}),
    (
        ("language_model", "projector", "vision_tower"),
        {"lora language_model", "lora vision_tower", "multi_modal_projector"},
    ),
]


@pytest.mark.parametrize(("adapt", "expected"), ADAPTED)
def test_an_adapter_holds_what_is_declared_and_loads_in_plain_peft(adapt, expected, recipe, base, said):
    done = tune(recipe("lora", adapt=adapt, steps=3))
    plain = AutoModelForImageTextToText.from_pretrained(base, dtype=torch.float32)
    before = said(plain)
    adapted = PeftModel.from_pretrained(plain, done.folder).eval()
    after = said(adapted)
    assert (after - before).abs().max() > 1e-3
    changed = {
        f"lora {name.split('.')[3]}" if "lora_" in name else name.split(".")[3]
        for name, _ in adapted.named_parameters()
        if "lora_" in name or "modules_to_save" in name
    }
    assert changed == expected
    ours = load(done.folder, device="cpu")
    assert torch.allclose(said(ours.model), after, atol=1e-4)
    assert ours.settings.name == "out"
    assert (ours.settings.categories, ours.settings.scene_classes) == ((), ())
    assert not [p for p in done.folder.glob("*") if p.name == "README.md"]


def test_what_is_taught_is_asked_as_its_base_and_for_anything():
    angles = AngleConvention("counterclockwise", "[0,90)")
    base = Settings("mini", convention=angles, fit="crop", categories=("ship",), scene_classes=("port",))
    after = taught(replace(base, trained_wordings=True, repetition_guard=True), "mine")
    assert (after.name, after.categories, after.scene_classes) == ("mine", (), ())
    assert after == replace(
        base, name="mine", categories=(), scene_classes=(), trained_wordings=True, repetition_guard=True
    )
    assert after.dialect_for(288) == base.dialect_for(288)


def test_merging_changes_no_logit(recipe, said, tmp_path, capsys):
    done = tune(recipe("lora", adapt=("language_model", "projector", "vision_tower"), steps=3))
    assert main(["merge", str(done.folder), str(tmp_path / "merged"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["dtype"] == "float32"
    merged = AutoModelForImageTextToText.from_pretrained(tmp_path / "merged", dtype=torch.float32)
    assert torch.allclose(said(merged.eval()), said(load(done.folder, device="cpu").model), atol=1e-4)


@pytest.mark.parametrize("tied", [True, False])
def test_answers_tokens_are_tuned_saved_and_merged(tied, recipe, base, material, tmp_path, capsys):
    changed, model = tmp_path / "base", load(base, device="cpu")
    model.model.config.tie_word_embeddings = model.model.config.text_config.tie_word_embeddings = tied
    model.model.tie_weights()
    changed.mkdir()
    save_checkpoint(changed / "tiny", model.model, model.processor, model.settings)
    given = recipe("lora", model=str(changed / "tiny"), answer_tokens=True, steps=3, save_every=1)
    done = tune(given)
    plain = AutoModelForImageTextToText.from_pretrained(changed / "tiny", dtype=torch.float32)
    before = {name: tensor.clone() for name, tensor in plain.state_dict().items()}
    after = PeftModel.from_pretrained(plain, done.folder).eval().merge_and_unload().state_dict()
    moved = {
        name: (before[name] != after[name]).any(1).nonzero().flatten().tolist()
        for name in ("model.language_model.embed_tokens.weight", "lm_head.weight")
    }
    rows = read_rows(material / "train.jsonl", None, model.processor, max_length=400)
    assert set(moved["lm_head.weight"]) == rows.said
    assert set(moved["model.language_model.embed_tokens.weight"]) <= rows.said
    ours = load(done.folder, device="cpu").model.state_dict()
    assert all(torch.allclose(ours[name], after[name], atol=1e-6) for name in moved)
    assert main(["merge", str(done.folder), str(tmp_path / "merged")]) == 0
    merged = AutoModelForImageTextToText.from_pretrained(tmp_path / "merged", dtype=torch.float32).state_dict()
    assert all(torch.allclose(merged[name], after[name], atol=1e-6) for name in moved)


def test_an_adapter_trained_beside_4_bits_merges_into_the_full_precision_base(recipe, base, said, tmp_path):
    done = tune(recipe("qlora", steps=2, learning_rate=1e-3))
    assert main(["merge", str(done.folder), str(tmp_path / "merged")]) == 0
    plain = AutoModelForImageTextToText.from_pretrained(base, dtype=torch.float32)
    unmerged = PeftModel.from_pretrained(plain, done.folder).eval()
    merged = AutoModelForImageTextToText.from_pretrained(tmp_path / "merged", dtype=torch.float32)
    assert torch.allclose(said(merged.eval()), said(unmerged), atol=1e-4)


def test_merging_needs_an_adapter(base, tmp_path, capsys):
    assert main(["merge", str(base), str(tmp_path / "merged")]) == 1
    assert "is no adapter, so there is nothing to merge" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("method", "given", "parts"),
    [
        ("projector", {}, {"multi_modal_projector"}),
        ("full", {}, {"language_model", "multi_modal_projector"}),
        ("full", {"adapt": ("vision_tower",)}, {"vision_tower"}),
    ],
)
def test_whole_parts_are_tuned_and_the_others_are_not(method, given, parts, recipe, base):
    done = tune(recipe(method, steps=2, **given))
    before = AutoModelForImageTextToText.from_pretrained(base, dtype=torch.float32).state_dict()
    after = AutoModelForImageTextToText.from_pretrained(done.folder, dtype=torch.float32).state_dict()
    changed = {name.split(".")[1] for name in before if not torch.equal(before[name], after[name])}
    assert changed - {"weight"} == parts  # lm_head.weight belongs to the language model
    assert ("weight" in changed) == ("language_model" in parts)


def test_losses_fall_on_a_few_samples(recipe, losses):
    done = tune(recipe("full", steps=30, save_every=30))
    found = losses(done.folder)
    assert found[-1] < 0.7 * found[0]


def test_the_best_state_is_kept_and_answers_are_drawn(recipe, material, said):
    settings = {"validation": material / "train.jsonl", "evaluate_every": 1, "keep_best": True, "show": 2}
    done = tune(
        recipe("full", steps=3, learning_rate=0.5, schedule="constant", **settings)
    )  # so high that it gets worse
    rows = [json.loads(line) for line in (done.folder / "run" / "log.jsonl").read_text().splitlines()]
    seen = [row["eval_loss"] for row in rows if "eval_loss" in row]
    assert done.validation_loss == min(seen) < seen[-1]
    assert len(list((done.folder / "run" / "samples").glob("*.png"))) == 3
    shown = (done.folder / "run" / "samples" / "step-000001.jsonl").read_text().splitlines()
    assert {"id", "question", "label", "answer"} == json.loads(shown[0]).keys()


def test_the_last_step_is_validated_wherever_the_interval_ends(recipe, material):
    done = tune(recipe("lora", steps=3, validation=material / "train.jsonl", evaluate_every=2))
    rows = [json.loads(line) for line in (done.folder / "run" / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "eval_loss" in row] == [2, 3]


def test_learning_rates_by_part(recipe):
    from geochat_train.tuning.run import _rates

    rates = _rates(recipe("lora", adapt=("language_model", "projector", "vision_tower"), projector_rate=1e-5))
    assert rates("base_model.model.model.multi_modal_projector.modules_to_save.default.linear_1.weight") == 1e-5
    assert rates("base_model.model.model.vision_tower.encoder.layers.0.mlp.fc1.lora_A.default.weight") == 1e-2


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"targets": ("q_proj", "wings")}, "targets='wings' is no matrix of the language model; it has down_proj"),
        ({"adapt": ("vision_tower",), "answer_tokens": True}, "answer_tokens has no effect: adapt does not hold"),
        ({"adapt": ("projector",)}, "leaves LoRA nothing; run `geochat train projector`"),
    ],
)
def test_what_cannot_be_adapted(given, message, recipe):
    with pytest.raises(SettingsError, match=message):
        tune(recipe("lora", steps=1, **given))


def test_an_adapter_is_no_base(recipe, tmp_path):
    done = tune(recipe("lora", steps=1))
    with pytest.raises(SettingsError, match="is an adapter; merge it first"):
        tune(recipe("lora", model=str(done.folder), out=tmp_path / "second", steps=1))


@pytest.mark.parametrize("method", ["lora", "projector"])
@pytest.mark.parametrize("share_images", [False, True])
def test_cached_features_give_the_same_losses_as_pixels(method, share_images, recipe, tmp_path):
    def losses(**given):
        out = tmp_path / str(given)
        tune(recipe(method, steps=3, out=out, share_images=share_images, **given))
        rows = [json.loads(line) for line in (out / "run" / "log.jsonl").read_text().splitlines()]
        return [row["loss"] for row in rows if "loss" in row]

    told = losses(cache_features=True)
    assert len(told) == 3
    assert told == pytest.approx(losses(cache_features=False), abs=1e-5)


def test_cached_features_are_computed_once_for_the_same_images(recipe, tmp_path):
    heard = []
    tune(recipe("lora", steps=2, save_every=1, cache_features=True), tell=heard.append)
    kept = tmp_path / "out" / "run" / "features.bin"
    before = kept.stat().st_mtime_ns
    tune(recipe("lora", steps=2, save_every=1, cache_features=True), tell=heard.append)
    assert kept.stat().st_mtime_ns == before
    assert len([line for line in heard if line.startswith("features of")]) == 1


def test_the_embeddings_of_added_tokens_are_tuned_and_no_others(recipe, base):
    done = tune(recipe("lora", added_tokens=True, steps=3))
    before, after = load(base, device="cpu"), load(done.folder, device="cpu")
    changed = (before.model.get_input_embeddings().weight != after.model.get_input_embeddings().weight).any(1)
    added = set(before.processor.tokenizer.added_tokens_encoder.values())
    assert changed.any()
    assert set(changed.nonzero().flatten().tolist()) <= added


def test_a_cache_of_features_needs_a_frozen_tower(recipe):
    with pytest.raises(SettingsError, match="cache_features needs a frozen tower"):
        recipe("lora", adapt=("vision_tower",), cache_features=True)


def test_rows_of_several_samples_have_the_same_losses_whatever_computes_attention(recipe, tmp_path):
    losses = []
    for attention in ("sdpa", "eager"):
        out = tmp_path / attention
        tune(recipe("lora", steps=2, out=out, share_images=True, attention=attention, dropout=0.0))
        rows = [json.loads(line) for line in (out / "run" / "log.jsonl").read_text().splitlines()]
        losses.append([row["loss"] for row in rows if "loss" in row])
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)
