"""Training on a GPU: the losses of the CPU, and the same ones again after a stop."""

import gc
import math

import pytest
import torch
from safetensors.torch import load_file

from geochat import GeoChat
from geochat.errors import TrainingError
from geochat_train.contrastive.run import contrast
from geochat_train.recipe_files import configs, to_yaml
from geochat_train.tuning import tune
from geochat_train.tuning.trainer import TuningTrainer

STEPS = 5


@pytest.fixture(scope="module")
def whole(recipe, tmp_path_factory):
    """A run of `lora-mini` that nothing stopped."""
    return tune(recipe(tmp_path_factory.mktemp("whole") / "out", steps=STEPS, precision="float32"))


def test_it_begins_with_the_loss_of_the_cpu(whole, losses, first_loss):
    found = losses(whole.folder)
    assert len(found) == STEPS
    assert all(map(math.isfinite, found))
    assert found[0] == pytest.approx(first_loss, rel=1e-4)


def test_stopped_it_goes_on_to_the_same_losses(whole, recipe, losses, tmp_path, monkeypatch):
    train = TuningTrainer.training_step

    def stopped(self, *arguments, **options):
        if self.state.global_step == 3:
            raise KeyboardInterrupt
        return train(self, *arguments, **options)

    settings = recipe(tmp_path / "out", steps=STEPS, precision="float32")
    with monkeypatch.context() as patch:
        patch.setattr(TuningTrainer, "training_step", stopped)
        with pytest.raises(KeyboardInterrupt):
            tune(settings)
    assert losses(tune(settings).folder) == pytest.approx(losses(whole.folder), rel=1e-3)


def test_the_adapter_answers(whole, samples, device):
    chat = GeoChat.from_pretrained(whole.folder, device=device)
    assert chat.ask(samples / "tanks.png", "Is there a storage tank in the image?").finish == "stop"


def test_bfloat16_is_what_a_gpu_takes(recipe, losses, first_loss, tmp_path):
    found = losses(tune(recipe(tmp_path / "out", steps=3, gradient_checkpointing=True)).folder)
    assert all(map(math.isfinite, found))
    assert found[0] == pytest.approx(first_loss, rel=0.05)


@pytest.mark.parametrize("optimizer", ["adamw", "paged_adamw_8bit"])
def test_an_adapter_is_taught_beside_4_bits(optimizer, recipe, losses, samples, device, tmp_path):
    pytest.importorskip("bitsandbytes")
    settings = recipe(tmp_path / "out", "qlora", steps=3, optimizer=optimizer, gradient_checkpointing=True)
    done = tune(settings)
    assert all(map(math.isfinite, losses(done.folder)))
    chat = GeoChat.from_pretrained(done.folder, device=device, quantization="4bit")
    assert chat.ask(samples / "tanks.png", "Is there a storage tank in the image?").finish == "stop"


def test_exhausted_memory_names_what_to_lower(recipe, tmp_path):
    gc.collect()
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + 100 * 2**20) / total)
    try:
        with pytest.raises(TrainingError, match=r"memory ran out; lower batch_size=8 .*Nothing is saved yet"):
            tune(recipe(tmp_path / "out", steps=1, precision="float32"))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


CONTRAST = """
    import sys
    from torch import distributed
    from geochat_train.contrastive.run import contrast
    from geochat_train.recipe_files import load_recipe
    contrast(load_recipe("clip", sys.argv[1]))
    print(distributed.get_backend())
    distributed.destroy_process_group()
"""


def test_one_process_of_a_group_has_the_losses_of_one_alone(recipe, losses, processes, tmp_path):
    """NCCL gathers the features and averages the gradients."""
    settings = {"steps": 3, "precision": "float32", "learning_rate": 1e-4}
    alone = contrast(recipe(tmp_path / "alone", "clip", **settings))
    (tmp_path / "mine.yaml").write_text(to_yaml(recipe(tmp_path / "group", "clip", **settings)))
    (backend,) = processes(CONTRAST, 1, tmp_path / "mine.yaml")
    assert backend.split()[-1] == "nccl"
    assert losses(tmp_path / "group") == pytest.approx(losses(alone.folder), rel=1e-3)


SHARD = """
from sys import argv

from torch.distributed.tensor import DTensor

from geochat_train.recipe_files import load_recipe
from geochat_train.tuning import tune
from geochat_train.tuning.trainer import TuningTrainer

step = TuningTrainer.training_step
kinds = set()


def watched(self, model, *arguments, **options):
    kinds.update("DTensor" if isinstance(p, DTensor) else type(p).__name__ for p in model.parameters())
    return step(self, model, *arguments, **options)


TuningTrainer.training_step = watched
tune(load_recipe("lora", argv[1]))
print(*sorted(kinds))
"""


def test_accelerate_shards_every_parameter(whole, recipe, losses, first_loss, python, device, samples, tmp_path):
    """With the configuration that comes with the recipes; the result is a whole adapter."""
    (tmp_path / "mine.yaml").write_text(to_yaml(recipe(tmp_path / "out", steps=3, precision="bfloat16")))
    (tmp_path / "shard.py").write_text(SHARD)
    launch = ["-m", "accelerate.commands.launch", "--config_file", configs() / "accelerate" / "fsdp2.yaml"]
    options = ["--num_processes", "1", "--main_process_port", "0"]
    told = python(*launch, *options, tmp_path / "shard.py", tmp_path / "mine.yaml")
    assert told.split()[-1:] == ["DTensor"]
    found = losses(tmp_path / "out")
    assert all(map(math.isfinite, found))
    assert found[0] == pytest.approx(first_loss, rel=0.05)
    ours, plain = (load_file(folder / "adapter_model.safetensors") for folder in (tmp_path / "out", whole.folder))
    assert {name: t.shape for name, t in ours.items()} == {name: t.shape for name, t in plain.items()}
    chat = GeoChat.from_pretrained(tmp_path / "out", device=device)
    assert chat.ask(samples / "tanks.png", "Is there a storage tank in the image?").finish == "stop"
