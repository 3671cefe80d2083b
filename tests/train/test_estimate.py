"""Estimates against published counts, and against what autograd keeps in a real step."""

import json

import pytest
import torch

from geochat.checkpoints import load
from geochat.cli import main
from geochat_data.encoding import Collator
from geochat_train.recipe_files import load_recipe
from geochat_train.tuning.adapting import adapt
from geochat_train.tuning.estimate import estimate
from geochat_train.tuning.packing import RowCollator
from geochat_train.tuning.rows import read_rows


@pytest.mark.slow
def test_the_published_recipe_without_its_weights(capsys):
    assert main(["train", "lora", "--config", "lora-7b", "--dry-run", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["trainable_parameters"] == 159_907_840  # PEFT's count for rank 64 on all of Llama-7B's matrices
    assert found["memory_gb"]["weights"] == pytest.approx(2 * 7.06, rel=0.01)
    assert found["memory_gb"]["total"] < 40  # it was trained on cards of 40 GB
    assert found["steps"] is None
    assert found["tokens_per_sample"] == 3400


@pytest.mark.slow
def test_qlora_fits_a_card_of_16_gb():
    found = estimate(load_recipe("qlora", "qlora-7b"))
    assert found.memory_gb.total < 12
    assert found.memory_gb.weights < 5


def test_steps_and_tokens_come_from_the_data(recipe, base, material):
    found = estimate(recipe("lora", epochs=3, effective_batch=8))
    rows = read_rows(material / "train.jsonl", None, load(base, device="cpu").processor, max_length=2048)
    assert found.steps == 12
    assert found.tokens_per_sample == pytest.approx(rows.lengths.mean(), abs=0.1)
    assert set(found.to_dict()["memory_gb"]) == {
        *("weights", "adapters", "gradients", "optimizer", "activations", "total")
    }


@pytest.mark.parametrize(
    ("method", "given"),
    [
        ("lora", {}),
        ("lora", {"adapt": ("language_model", "projector", "vision_tower")}),
        ("lora", {"answer_tokens": True}),
        ("full", {}),
        ("projector", {}),
    ],
)
def test_it_is_what_a_step_keeps(method, given, recipe, base, material):
    settings = recipe(method, batch_size=6, **given)
    found = estimate(settings)
    checkpoint = load(base, device="cpu", dtype="float32")
    rows = read_rows(material / "train.jsonl", None, checkpoint.processor, max_length=2048)
    model = adapt(checkpoint.model, settings, "", rows.said).train()
    assert found.trainable_parameters == sum(p.numel() for p in model.parameters() if p.requires_grad)
    longest = [rows[int(index)] for index in rows.lengths.argsort()[::-1] if rows[int(index)][0].image][:6]
    batch = RowCollator(Collator(checkpoint.processor, material, 2048))(longest)
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage
        return tensor

    learnt = (batch["labels"] != -100).any(0).nonzero().squeeze(1) - 1
    labels = batch.pop("labels")[:, learnt + 1]
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        logits = model(**batch, logits_to_keep=learnt).logits
        torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
    measured = sum(storage.nbytes() for storage in kept.values()) / 1e9
    assert found.memory_gb.activations == pytest.approx(measured, rel=0.3)
