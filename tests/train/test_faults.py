"""Checkpoints and run folders robbed of a file, cut or changed; failed starts; two at once."""

import json
import multiprocessing
import shutil
import subprocess
import sys

import pytest

from geochat.errors import DataError, GeoChatError, SettingsError, TrainingError
from geochat.files import locked
from geochat_train.loop import TrainingFolder
from geochat_train.loop.manifest import NAME, check_manifest
from geochat_train.recipe_files import load_recipe
from geochat_train.tuning import tune
from geochat_train.tuning.trainer import TuningTrainer

STEPS = 4
WAYS = ("restore it", "--restart", "another out")


class StoppedError(Exception):
    """Ends a run as a kill would."""


@pytest.fixture(scope="session")
def stopped(tmp_path_factory, base, material):
    """Two folders of one run: stopped after step 3 with the checkpoint of step 2, and finished after step 4."""
    folder = tmp_path_factory.mktemp("stopped")
    whole, killed = folder / "whole", folder / "killed"
    tune(make(base, material, whole))
    with pytest.MonkeyPatch.context() as patch:
        train = TuningTrainer.training_step

        def until(self, *arguments, **options):
            if self.state.global_step == 3:
                raise StoppedError
            return train(self, *arguments, **options)

        patch.setattr(TuningTrainer, "training_step", until)
        with pytest.raises(StoppedError):
            tune(make(base, material, killed))
    return whole, killed


def make(base, material, out, **changes):
    settings = {
        **{"model": str(base), "data": material / "train.jsonl", "out": out, "workers": 0, "batch_size": 4},
        **{"log_every": 1, "save_every": 1, "keep": 2, "precision": "float32", "learning_rate": 1e-2, "rank": 4},
        **{"steps": STEPS, "validation": material / "train.jsonl", "evaluate_every": 1, "keep_best": True},
        **changes,
    }
    return load_recipe("lora", None, settings)


def weights(folder):
    return (folder / "adapter_model.safetensors").read_bytes()


def remove(path):
    path.unlink()


def empty(path):
    path.write_bytes(b"")


def halve(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x04
    path.write_bytes(bytes(content))


FAULTS = [flip, *(pytest.param(fault, marks=pytest.mark.slow) for fault in (remove, empty, halve))]
CHECKPOINT = ("adapter_model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json", NAME)
RUN = ("recipe.yaml", "identity.json", "log.jsonl", "best/adapter_model.safetensors", f"best/{NAME}")


def files_of(killed):
    last = TrainingFolder(killed).last_checkpoint()
    return [last / name for name in CHECKPOINT] + [killed / "run" / name for name in RUN]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("number", range(len(CHECKPOINT) + len(RUN)))
def test_a_damaged_file_never_changes_a_result_without_a_word(number, fault, stopped, base, material, tmp_path):
    whole, killed = stopped
    out = tmp_path / "out"
    shutil.copytree(killed, out)
    path = files_of(out)[number]
    assert path.is_file()
    fault(path)
    told, refusal = [], None
    try:
        tune(make(base, material, out), tell=told.append)
    except (TrainingError, SettingsError) as error:
        refusal = str(error)
    if refusal is None:
        assert weights(out) == weights(whole)
    else:
        assert str(out) in refusal
        assert any(way in refusal for way in WAYS), refusal
        assert not (out / "adapter_model.safetensors").exists()
    if path.parent.name.startswith("checkpoint-") and path.name != NAME:
        assert refusal is not None
        assert str(path) in refusal


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        *((name, remove) for name in CHECKPOINT[:-1]),
        *((name, halve) for name in CHECKPOINT[:-1] if name[-4:] != ".pth"),
    ],
)
def test_checkpoints_from_before_manifests_are_looked_through(name, fault, stopped, base, material, tmp_path):
    _, killed = stopped
    out = tmp_path / "out"
    shutil.copytree(killed, out)
    (TrainingFolder(out).last_checkpoint() / NAME).unlink()
    fault(TrainingFolder(out).last_checkpoint() / name)
    with pytest.raises(TrainingError, match=r"is missing|is damaged"):
        tune(make(base, material, out))
    assert not (out / "adapter_model.safetensors").exists()


def test_one_without_a_manifest_goes_on_and_says_so(stopped, base, material, tmp_path):
    whole, killed = stopped
    shutil.copytree(killed, tmp_path / "out")
    (TrainingFolder(tmp_path / "out").last_checkpoint() / NAME).unlink()
    told = []
    tune(make(base, material, tmp_path / "out"), tell=told.append)
    assert any(f"has no {NAME}" in text for text in told)
    assert weights(tmp_path / "out") == weights(whole)


def test_a_damaged_checkpoint_may_be_removed_to_go_on_from_the_one_before(stopped, base, material, tmp_path):
    whole, killed = stopped
    out = tmp_path / "out"
    shutil.copytree(killed, out)
    last = TrainingFolder(out).last_checkpoint()
    flip(last / "optimizer.pt")
    message = rf"optimizer.pt was changed .*; restore it, remove .*{last.name} to go on from step 2, or give --restart"
    with pytest.raises(TrainingError, match=message):
        tune(make(base, material, out))
    shutil.rmtree(last)
    tune(make(base, material, out))
    assert weights(out) == weights(whole)


def test_the_best_state_that_is_gone_is_missed(stopped, base, material, tmp_path):
    _, killed = stopped
    shutil.copytree(killed, tmp_path / "out")
    shutil.rmtree(tmp_path / "out" / "run" / "best")
    with pytest.raises(TrainingError, match=r"run/best is not the best state of the run.*--restart"):
        tune(make(base, material, tmp_path / "out"))


def test_killed_between_two_best_states_one_is_there(tmp_path):
    folder = TrainingFolder(tmp_path / "out")
    for loss in (2.0, 1.0):
        draft = folder.path / ".best"
        draft.mkdir(parents=True)
        (draft / "weights").write_text(str(loss))
        folder.take_best(draft, loss)
    assert folder.best_loss() == 1.0
    folder.best.rename(folder.path / ".former_best")
    folder._tidy()
    assert folder.best_loss() == 1.0
    check_manifest(folder.best, "")


def test_what_is_no_checkpoint_is_passed_over(stopped, base, material, tmp_path):
    whole, killed = stopped
    out = tmp_path / "out"
    shutil.copytree(killed, out)
    for name in ("checkpoint-foo", "checkpoint-", "checkpoint--1", "checkpoint-9999999999999999999999"):
        (out / "run" / "checkpoints" / name).mkdir()
    (out / "run" / "checkpoints" / "checkpoint-9").write_text("a file")
    tune(make(base, material, out))
    assert weights(out) == weights(whole)


def test_a_finished_run_has_a_manifest_of_each_checkpoint_and_none_in_the_result(stopped):
    whole, _ = stopped
    for checkpoint in TrainingFolder(whole).all_checkpoints():
        assert check_manifest(checkpoint, "")["step"] == int(checkpoint.name.rpartition("-")[2])
    assert not (whole / NAME).exists()


@pytest.mark.parametrize(
    "mistake", ["missing image", *(pytest.param(m, marks=pytest.mark.slow) for m in ("target", "batch"))]
)
def test_a_start_that_failed_does_not_block_the_corrected_command(mistake, base, material, tmp_path):
    out = tmp_path / "out"
    wrong = {
        "missing image": {"images": tmp_path},
        "target": {"targets": ("z_proj",)},
        "batch": {"batch_size": 1000, "save_every": 7},
    }[mistake]
    with pytest.raises((DataError, SettingsError)):
        tune(make(base, material, out, **wrong))
    assert tune(make(base, material, out, rank=2)).steps == STEPS
    with pytest.raises(SettingsError, match="holds a run with rank=2, now it is 4"):
        tune(make(base, material, out))
    shutil.rmtree(out / "run" / "checkpoints")  # the result is there all the same
    with pytest.raises(SettingsError, match="holds a run with rank=2, now it is 4"):
        tune(make(base, material, out))


def test_a_second_training_in_one_folder_is_refused(base, material, tmp_path):
    out = tmp_path / "out"
    with locked(out, what="geochat train lora"), pytest.raises(SettingsError, match=r"geochat train lora.*wait until"):
        tune(make(base, material, out))
    assert tune(make(base, material, out)).steps == STEPS


def _train(recipe, results):
    try:
        results.put(tune(recipe).steps)
    except GeoChatError as error:
        results.put(str(error))


@pytest.mark.slow
def test_of_two_processes_one_is_refused(base, material, tmp_path):
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    recipe = make(base, material, tmp_path / "out", steps=60)
    workers = [context.Process(target=_train, args=(recipe, results)) for _ in range(2)]
    for worker in workers:
        worker.start()
    found = [results.get(timeout=300) for _ in workers]
    for worker in workers:
        worker.join()
    assert found.count(60) == 1
    assert any("is being written by" in str(each) for each in found)


@pytest.mark.slow
def test_a_training_tells_nothing_but_its_progress(base, material, tmp_path):
    argv = ["train", "lora", "--model", str(base), "--data", str(material / "train.jsonl"), "--rank", "4"]
    argv += ["--out", str(tmp_path / "out"), "--steps", "2", "--workers", "1", "--batch-size", "4", "--log-every", "1"]
    done = subprocess.run([sys.executable, "-m", "geochat", *argv], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    told = done.stderr.splitlines()
    assert [line.split(":")[0] for line in told[1:]] == ["step 1 of 2", "step 2 of 2"], told
    assert json.loads((tmp_path / "out" / "run" / "finished.json").read_text()) == {"steps": 2}
