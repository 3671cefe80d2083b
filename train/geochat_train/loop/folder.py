"""The folder of a run: checkpoints, log and recipe below `run/`, the result beside it once there is one."""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from geochat.errors import SettingsError, TrainingError

_FREE = {  # may differ when a run goes on: none changes what is learnt, and the data is known by its lengths
    "out",
    "data",
    "images",
    "workers",
    "log_every",
    "evaluate_every",
    "save_every",
    "keep",
    "keep_best",
    "report_to",
    "show",
    "validation",
}


class RunFolder:
    """Where a run keeps what it needs to go on, and where its result appears.

    Attributes:
        out: The folder of the result.
        path: `out/run`, everything else.
        index: Where a start's indexes of large data go.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self.path = out / "run"
        self.checkpoints = self.path / "checkpoints"
        self.best = self.path / "best"
        self._best_loss = self.path / "best_loss.txt"
        self.log = self.path / "log.jsonl"
        self.index = self.path / "index"
        self._recipe = self.path / "recipe.yaml"
        self._identity = self.path / "identity.json"

    def open(self, recipe: str, *, restart: bool = False) -> None:
        """Make the folder, or take up the run that is in it.

        Args:
            recipe: The recipe's YAML.
            restart: Whether to forget a run that is there.

        Raises:
            SettingsError: The folder holds other things, or a run with another recipe; names the setting.
            TrainingError: It cannot be written.
        """
        if self._recipe.is_file() and not restart:
            self._check_same(yaml.safe_load(self._recipe.read_text(encoding="utf-8")), yaml.safe_load(recipe))
        elif self._recipe.is_file():
            shutil.rmtree(self.path)
        elif self.out.exists() and (not self.out.is_dir() or any(self.out.iterdir())):
            raise SettingsError(f"{self.out} exists and holds no run; choose another out, or empty it")
        try:
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            for partial in self.checkpoints.glob(".*"):  # of a run that was killed while it saved
                shutil.rmtree(partial)
            for partial in self.path.glob(".*.partial"):
                partial.unlink()
            shutil.rmtree(self.index, ignore_errors=True)  # every start writes it anew
            write_whole(self._recipe, recipe)
        except OSError as error:
            raise TrainingError(f"{self.out} cannot be written: {error.strerror}; choose another out") from error

    def check_identity(self, identity: Mapping[str, Any]) -> None:
        """Refuse to go on with other data or another division of work than the run began with.

        Raises:
            SettingsError: Something differs; names it.
        """
        if self._identity.is_file():
            before = json.loads(self._identity.read_text(encoding="utf-8"))
            for name, value in identity.items():
                if before.get(name) != value:
                    raise SettingsError(
                        f"{self.out} holds a run with {name}={before.get(name)}, now it is {value}; give what it began "
                        "with, another out, or --restart to forget it"
                    )
        else:
            write_whole(self._identity, json.dumps(dict(identity)))

    def last_checkpoint(self) -> Path | None:
        """The checkpoint to go on from."""
        found = self.checkpoints.glob("checkpoint-*")
        return max(found, key=step_of, default=None)

    def kept(self) -> str:
        """What is not lost, for a message."""
        last = self.last_checkpoint()
        if last is None:
            return "Nothing is saved yet."
        return f"Step {step_of(last)} is saved; the same command goes on from it."

    def best_loss(self) -> float | None:
        """The validation loss of the best state so far."""
        if not self._best_loss.is_file():
            return None
        return float(self._best_loss.read_text(encoding="utf-8"))

    def take_best(self, draft: Path, loss: float) -> None:
        """Let a state be the best so far."""
        self._best_loss.unlink(missing_ok=True)
        shutil.rmtree(self.best, ignore_errors=True)
        draft.rename(self.best)
        write_whole(self._best_loss, repr(loss))

    def publish(self, draft: Path, last: str) -> None:
        """Let the files of `draft` appear in `out`; the one that makes it a checkpoint, `last`, at the end."""
        for file in sorted(draft.iterdir(), key=lambda file: file.name == last):
            file.replace(self.out / file.name)
        draft.rmdir()

    def _check_same(self, before: dict[str, Any], now: dict[str, Any]) -> None:
        for name in sorted((before.keys() | now.keys()) - _FREE):
            if before.get(name) != now.get(name):
                was, wanted = before.get(name, "its default"), now.get(name, "its default")
                raise SettingsError(
                    f"{self.out} holds a run with {name}={was}, now it is {wanted}; give what it began with, another "
                    "out, or --restart to forget it"
                )


def step_of(checkpoint: Path) -> int:
    """The step a checkpoint's folder is named after."""
    return int(checkpoint.name.rpartition("-")[2])


def write_whole(path: Path, text: str) -> None:
    """Write a file whole or not at all, also where several processes do."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.partial")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)


def digest(data: bytes) -> str:
    """Enough of a hash to tell two runs apart."""
    return hashlib.sha256(data).hexdigest()[:16]
