"""Several processes follow the losses of one; sharded parameters are sharded."""

import json

import pytest

from geochat.errors import SettingsError
from geochat_train.recipe_files import to_yaml
from geochat_train.tuning import tune

TUNE = """
    import sys
    from geochat_train.recipe_files import load_recipe
    from geochat_train.tuning import tune
    tune(load_recipe("lora", sys.argv[1]))
"""
SHARD = """
    import json, sys, torch
    from pathlib import Path
    import torch.distributed as dist
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard
    from torch.distributed.tensor import DTensor
    from geochat.checkpoints import load
    from geochat_train.recipe_files import load_recipe
    from geochat_train.tuning.adapting import adapt
    from geochat_data.encoding import Collator
    from geochat_train.tuning.packing import RowCollator
    from geochat_train.tuning.rows import read_rows

    _, base, data, shard = sys.argv
    recipe = load_recipe("lora", None, {"rank": 4, "dropout": 0.0, "answer_tokens": True})
    torch.manual_seed(0)
    checkpoint = load(base, device="cpu", dtype="float32")
    rows = read_rows(Path(data), None, checkpoint.processor, max_length=2048)
    model = adapt(checkpoint.model, recipe, "", rows.said).train()
    llava = model.get_base_model()
    if shard == "yes":
        dist.init_process_group("gloo")
        mesh = init_device_mesh("cpu", (dist.get_world_size(),))
        for layer in llava.model.language_model.layers:
            fully_shard(layer, mesh=mesh)
        fully_shard(model, mesh=mesh)
    batch = RowCollator(Collator(checkpoint.processor, Path(data).parent, 2048))([rows[i] for i in range(4)])
    learnt = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learnt, lr=1e-2)
    losses = []
    for _ in range(4):
        loss = model(**batch).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    kinds = sorted({type(p).__name__ if not isinstance(p, DTensor) else "DTensor" for p in model.parameters()})
    held = sum((p.to_local() if isinstance(p, DTensor) else p).numel() for p in model.parameters())
    print(json.dumps({"losses": losses, "kinds": kinds, "held": held}))
    if shard == "yes":
        dist.barrier()  # neither leaves while the other still speaks to it
        dist.destroy_process_group()
"""

TAKE_UP = """
    import sys, torch.distributed as dist
    from pathlib import Path
    from geochat_data.index import SampleIndex, write_index
    from geochat_data.samples import Sample
    from geochat.prompts import Message
    from geochat_train.loop import TrainingFolder

    samples = [Sample(str(n), None, (Message("user", "what?"), Message("assistant", "a car"))) for n in range(1500)]
    dist.init_process_group("gloo")
    for number in range(12):
        folder = TrainingFolder(Path(sys.argv[1]) / str(number))
        folder.index.mkdir(parents=True, exist_ok=True)
        dist.barrier()
        folder.check_identity({"rows": 1500})
        write_index(folder.index / "rows.arrow", samples)
        assert len(SampleIndex(folder.index / "rows.arrow")) == 1500
    dist.barrier()
    dist.destroy_process_group()
"""


def test_sharding_that_accelerate_would_silently_leave_out_is_refused(recipe, monkeypatch):
    """On CPUs it ignores FSDP and copies the whole model to every process."""
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(SettingsError, match="sharding is asked for, but accelerate shards nothing on this device"):
        tune(recipe("lora", steps=1))


@pytest.mark.slow
def test_processes_that_begin_together_do_not_disturb_each_other(processes, tmp_path):
    """Each notes what the run is about and indexes its data, at the same time as the others."""
    processes(TAKE_UP, 2, tmp_path)
    assert json.loads((tmp_path / "0" / "run" / "identity.json").read_text()) == {"rows": 1500}
    assert not list(tmp_path.rglob("*.partial"))


@pytest.mark.slow
def test_two_processes_follow_the_losses_of_one(recipe, losses, processes, tmp_path):
    shared = {"steps": 5, "dropout": 0.0, "effective_batch": 8, "learning_rate": 3e-3, "answer_tokens": True}
    for count in (1, 2):
        settings = recipe("lora", **shared, batch_size=8 // count, out=tmp_path / str(count))
        file = tmp_path / f"{count}.yaml"
        file.write_text(to_yaml(settings))
        processes(TUNE, count, file)
    assert losses(tmp_path / "2") == pytest.approx(losses(tmp_path / "1"), abs=1e-4)


@pytest.mark.slow
def test_sharded_parameters_are_sharded_and_learn_alike(processes, base, material):
    (whole,) = map(json.loads, processes(SHARD, 1, base, material / "train.jsonl", "no"))
    first, second = map(json.loads, processes(SHARD, 2, base, material / "train.jsonl", "yes"))
    assert whole["kinds"] == ["Parameter"]
    assert first["kinds"] == second["kinds"] == ["DTensor"]
    assert first["held"] + second["held"] == pytest.approx(whole["held"], rel=0.01)
    assert first["losses"] == pytest.approx(whole["losses"], abs=1e-4)
