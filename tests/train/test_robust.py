"""A run that is killed goes on as if nothing had been; what stops it says what to change."""

import errno
import json
import math
import os
import signal
import subprocess
import sys
import textwrap

import pytest
import torch
from transformers import Trainer

from geochat.cli import main
from geochat.errors import ImageError, SettingsError, TrainingError
from geochat_train.loop import SafeTrainer
from geochat_train.tuning import tune
from geochat_train.tuning.trainer import TuningTrainer

KILL = """
    import os, signal, sys
    from pathlib import Path
    from transformers import Trainer
    from geochat_train.recipe_files import load_recipe
    from geochat_train.tuning import tune

    _, file, step = sys.argv
    save = Trainer._save_rng_state

    def killed(self, folder):
        if self.state.global_step == int(step):
            os.kill(os.getpid(), signal.SIGKILL)  # the adapter and the optimizer are written, the rest is not
        save(self, folder)

    Trainer._save_rng_state = killed
    tune(load_recipe("lora", file))
"""


def interrupt_at(monkeypatch, step):
    """Have the run end, as by a kill, in the middle of a step."""
    train = TuningTrainer.training_step

    def stopped(self, *arguments, **options):
        if self.state.global_step == step:
            raise KeyboardInterrupt
        return train(self, *arguments, **options)

    monkeypatch.setattr(TuningTrainer, "training_step", stopped)


EVERYTHING = {"dropout": 0.3, "adapt": ("language_model", "projector", "vision_tower"), "answer_tokens": True}


@pytest.mark.parametrize(
    ("method", "given", "step"),
    [
        pytest.param("lora", EVERYTHING, 1, marks=pytest.mark.slow),  # before the first checkpoint
        pytest.param("lora", EVERYTHING, 4, marks=pytest.mark.slow),  # just after one
        ("lora", {"effective_batch": 8, "share_images": True, "batch_size": 2}, 5),  # in a later pass
        ("full", {"keep": 1}, 3),
    ],
)
def test_it_goes_on_to_the_same_losses(method, given, step, recipe, losses, tmp_path, monkeypatch):
    settings = {"steps": 7, "learning_rate": 3e-3, **given}
    whole = tune(recipe(method, out=tmp_path / "whole", **settings))
    with monkeypatch.context() as patch:
        interrupt_at(patch, step)
        with pytest.raises(KeyboardInterrupt):
            tune(recipe(method, **settings))
    resumed = tune(recipe(method, **settings))
    assert losses(resumed.folder) == pytest.approx(losses(whole.folder), abs=1e-6)
    assert len(losses(whole.folder)) == 7
    weights = "adapter_model.safetensors" if method == "lora" else "model.safetensors"
    assert (resumed.folder / weights).read_bytes() == (whole.folder / weights).read_bytes()


@pytest.mark.slow
def test_killed_while_it_saves_it_goes_on_from_the_checkpoint_before(recipe, losses, tmp_path):
    settings = recipe("lora", steps=6)
    file = tmp_path / "mine.yaml"
    from geochat_train.recipe_files import to_yaml

    file.write_text(to_yaml(settings))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", textwrap.dedent(KILL), str(file), "4"]
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    checkpoints = settings.out / "run" / "checkpoints"
    assert sorted(path.name for path in checkpoints.iterdir()) == [".step-4", "checkpoint-2"]
    tune(settings)
    assert sorted(path.name for path in checkpoints.iterdir()) == ["checkpoint-4", "checkpoint-6"]
    assert len(losses(settings.out)) == 6


def test_a_finished_run_is_left_as_it_is(recipe):
    first = tune(recipe("lora", steps=2))
    before = (first.folder / "adapter_model.safetensors").read_bytes()
    again = tune(recipe("lora", steps=2))
    assert (again.folder / "adapter_model.safetensors").read_bytes() == before
    assert (again.steps, again.loss) == (first.steps, first.loss)


def test_another_recipe_or_other_data_is_not_mixed_in(recipe, material, tmp_path):
    tune(recipe("lora", steps=2))
    with pytest.raises(SettingsError, match=r"holds a run with learning_rate=0.01, now it is 0.02; .*--restart"):
        tune(recipe("lora", steps=2, learning_rate=0.02))
    lines = (material / "train.jsonl").read_text().splitlines()
    shorter = tmp_path / "train.jsonl"
    shorter.write_text("\n".join(lines[:20]) + "\n")
    tune(recipe("lora", steps=2, out=tmp_path / "other", data=shorter, images=material))
    shorter.write_text("\n".join(lines[:24]) + "\n")
    with pytest.raises(SettingsError, match="holds a run with rows=20, now it is 24"):
        tune(recipe("lora", steps=2, out=tmp_path / "other", data=shorter, images=material))
    assert tune(recipe("lora", steps=2, learning_rate=0.02), restart=True).steps == 2


def test_a_folder_with_other_things_is_not_touched(recipe, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("years of work")
    with pytest.raises(SettingsError, match="exists and holds no run; choose another out"):
        tune(recipe("lora", steps=1), restart=True)
    assert (tmp_path / "out" / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        pytest.param(
            RuntimeError("[enforce fail at inline_container.cc:664] . PytorchStreamWriter failed writing file data/3"),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_full_disk_names_what_to_lower_and_what_is_kept(error, recipe, monkeypatch):
    save = Trainer._save_optimizer_and_scheduler

    def full(self, folder):
        if self.state.global_step == 4:
            raise error
        save(self, folder)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_save_optimizer_and_scheduler", full)
        with pytest.raises(
            TrainingError, match=r"no room is left; free space, lower keep=2 .*Step 2 is saved; the same"
        ):
            tune(recipe("lora", steps=6))
    assert tune(recipe("lora", steps=6)).steps == 6


def test_a_disk_that_will_not_do_is_told_before_training(recipe, monkeypatch):
    class Usage:
        free = 1000

    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage)
    with pytest.raises(
        TrainingError, match=r"checkpoints take 0.0 GB and .* has 0.0 GB free; free space, lower keep=2"
    ):
        tune(recipe("lora", steps=6))


def test_a_loss_that_is_no_number_stops_the_run(recipe, monkeypatch):
    compute = TuningTrainer.compute_loss

    def exploding(self, *arguments, **options):
        loss = compute(self, *arguments, **options)
        return loss * math.inf if self.state.global_step == 3 else loss

    monkeypatch.setattr(TuningTrainer, "compute_loss", exploding)
    message = r"the loss is inf at step 4, learning rate .*; lower learning_rate .* Step 2 is saved; the same command"
    with pytest.raises(TrainingError, match=message):
        tune(recipe("lora", steps=6))


def test_a_weight_that_is_no_number_is_not_saved(recipe, monkeypatch):
    clip = SafeTrainer._clip_grad_norm

    def poisoned(self, model):
        norm = clip(self, model)
        if self.state.global_step == 3:
            next(p for p in model.parameters() if p.grad is not None).grad.fill_(math.nan)
        return norm

    monkeypatch.setattr(SafeTrainer, "_clip_grad_norm", poisoned)
    with pytest.raises(TrainingError, match=r"a weight is no number at step .* Step 2 is saved"):
        tune(recipe("lora", steps=6))


@pytest.mark.parametrize("where", ["cpu", "cuda"])
def test_exhausted_memory_names_what_to_lower(where, recipe, monkeypatch):
    def greedy(*_arguments, **_options):
        if where == "cuda":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        torch.empty(1 << 55)  # what the CPU's allocator says

    monkeypatch.setattr(TuningTrainer, "compute_loss", greedy)
    with pytest.raises(TrainingError, match=r"memory ran out; lower batch_size=4 .*gradient_checkpointing=true"):
        tune(recipe("lora", steps=2))


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_a_broken_image_is_named(workers, recipe, material, tmp_path):
    for file in material.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    whole = (tmp_path / "3.png").read_bytes()
    (tmp_path / "3.png").write_bytes(whole[:200])
    settings = {"data": tmp_path / "train.jsonl", "steps": 16, "workers": workers}
    with pytest.raises(ImageError) as caught:
        tune(recipe("lora", **settings))
    assert str(tmp_path / "3.png") in str(caught.value)
    assert "Traceback" not in str(caught.value)
    (tmp_path / "3.png").write_bytes(whole)
    assert tune(recipe("lora", **settings)).steps == 16


def test_memory_saved_by_checkpointing_changes_no_loss(recipe, losses, tmp_path):
    adapt = ("language_model", "projector", "vision_tower")
    plain = tune(recipe("lora", steps=2, adapt=adapt, dropout=0.0, out=tmp_path / "plain"))
    saving = tune(recipe("lora", steps=2, adapt=adapt, dropout=0.0, gradient_checkpointing=True))
    assert losses(saving.folder) == pytest.approx(losses(plain.folder), abs=1e-5)


def test_accumulation_is_one_large_batch(recipe, losses, tmp_path):
    large = tune(recipe("lora", steps=2, batch_size=8, dropout=0.0, out=tmp_path / "large"))
    small = tune(recipe("lora", steps=2, batch_size=2, effective_batch=8, dropout=0.0))
    assert losses(small.folder) == pytest.approx(losses(large.folder), abs=1e-4)


def test_the_command_line(base, material, tmp_path, capsys):
    argv = ["train", "lora", "--model", str(base), "--data", str(material / "train.jsonl"), "--rank", "4"]
    argv += ["--out", str(tmp_path / "out"), "--steps", "2", "--workers", "0", "--batch-size", "4", "--log-every", "1"]
    assert main([*argv, "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["steps"] == 2
    assert "step 2 of 2: loss" in captured.err
    assert main(["train", "lora", "--data", "x.jsonl"]) == 1
    assert "out is not given; add --out" in capsys.readouterr().err
    assert main(["train", "lora", "--rank", "lots"]) == 1
    assert "rank='lots' is not a whole number" in capsys.readouterr().err
