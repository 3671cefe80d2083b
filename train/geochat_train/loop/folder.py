"""The folder of a run: checkpoints, log and recipe below `run/`, and the result next to it.

Only one process at a time writes it. A run without saved state may be replaced by another recipe.
"""

import hashlib
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from geochat.errors import SettingsError, TrainingError
from geochat.files import atomic_draft, locked
from geochat_train.loop.manifest import check_manifest, read_manifest, write_manifest

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


_WAY_OUT = "restore it, or give --restart to delete the run and start again"
_CHECKPOINT = re.compile(r"checkpoint-([0-9]{1,18})")


class TrainingFolder:
    """Folder of a training run: state for resuming, and the result.

    Attributes:
        out: The folder of the result.
        path: `out/run`, everything else.
        index: Folder for a start's indexes of large data.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self.path = out / "run"
        self.checkpoints = self.path / "checkpoints"
        self.best = self.path / "best"
        self._former_best = self.path / ".former_best"
        self._best_loss = self.path / "best_loss.txt"  # of runs from before manifests
        self.log = self.path / "log.jsonl"
        self.index = self.path / "index"
        self._recipe = self.path / "recipe.yaml"
        self._identity = self.path / "identity.json"
        self._finished = self.path / "finished.json"

    @contextmanager
    def held(self, what: str) -> Iterator[None]:
        """Lock the folder against other trainings.

        Args:
            what: Activity, for the message to another process.

        Raises:
            SettingsError: Another process holds it.
            TrainingError: It cannot be made.
        """
        try:
            self.out.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TrainingError(f"{self.out} cannot be written: {error.strerror}; choose another out") from error
        with locked(self.out, what=what):
            yield

    def open(self, recipe: str, *, restart: bool = False) -> None:
        """Create the folder, or resume the run in it.

        Args:
            recipe: The recipe's YAML.
            restart: Whether to delete an existing run.

        Raises:
            SettingsError: The folder holds other things, or a run with another recipe; names the setting.
            TrainingError: It cannot be written, or what it holds is damaged.
        """
        ours = self._recipe.is_file() or self._has_state()
        if not ours and self.out.exists() and (not self.out.is_dir() or any(self.out.iterdir())):
            raise SettingsError(f"{self.out} exists and holds no run; choose another out, or empty it")
        try:
            if restart or not self._has_state():
                shutil.rmtree(self.path, ignore_errors=True)
            else:
                self._check_same(self._read_recipe(), yaml.safe_load(recipe))
            self._tidy()
            _write(self._recipe, recipe)
        except OSError as error:
            raise TrainingError(f"{self.out} cannot be written: {error.strerror}; choose another out") from error

    def check_identity(self, identity: Mapping[str, Any]) -> None:
        """Refuse to resume with other data, or divided differently among processes, than at the start of the run.

        Raises:
            SettingsError: Something differs; names it.
            TrainingError: The file that says what it began with is missing or damaged.
        """
        if not self._has_state():
            _write(self._identity, json.dumps(dict(identity)))
            return
        try:
            before = json.loads(self._identity.read_text(encoding="utf-8"))
            differing = [name for name, value in identity.items() if before[name] != value]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise TrainingError(f"{self._identity} is missing or damaged; {_WAY_OUT}") from error
        for name in differing:
            raise SettingsError(
                f"{self.out} holds a run with {name}={before[name]}, now it is {identity[name]}; give what it began "
                "with, another out, or --restart to forget it"
            )

    def all_checkpoints(self) -> list[Path]:
        """The checkpoints by step; other files and folders are ignored."""
        found = [path for path in self.checkpoints.glob("checkpoint-*") if _CHECKPOINT.fullmatch(path.name)]
        return sorted((path for path in found if path.is_dir()), key=step_of)

    def last_checkpoint(self) -> Path | None:
        """The checkpoint to resume from."""
        return max(self.all_checkpoints(), key=step_of, default=None)

    def way_out(self, checkpoint: Path) -> str:
        """Return advice for a damaged checkpoint."""
        before = [path for path in self.all_checkpoints() if step_of(path) < step_of(checkpoint)]
        other = f"go on from step {step_of(before[-1])}" if before else "begin from the first step"
        return f"restore it, remove {checkpoint} to {other}, or give --restart to forget the run"

    def kept(self) -> str:
        """Return a sentence about the saved state."""
        last = self.last_checkpoint()
        if last is None:
            return "Nothing is saved yet."
        return f"Step {step_of(last)} is saved; the same command goes on from it."

    def best_loss(self) -> float | None:
        """The validation loss of the best state so far, None if there is none.

        Raises:
            TrainingError: It is not said, or damaged.
        """
        if not self.best.is_dir():
            return None
        about = read_manifest(self.best, _WAY_OUT)
        try:
            return float(self._best_loss.read_text(encoding="utf-8") if about is None else about["loss"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise TrainingError(f"{self.best} does not say how good it is; {_WAY_OUT}") from error

    def take_best(self, draft: Path, loss: float) -> None:
        """Make a state the best so far, atomically."""
        write_manifest(draft, {"loss": loss})
        shutil.rmtree(self._former_best, ignore_errors=True)
        if self.best.is_dir():
            self.best.rename(self._former_best)
        draft.rename(self.best)
        shutil.rmtree(self._former_best, ignore_errors=True)

    def check_best(self, least: float | None) -> None:
        """Check the best state before it is used.

        Args:
            least: The loss of the best state when the last checkpoint was written, None where there was none.

        Raises:
            TrainingError: It is missing, damaged or an older one.
        """
        known = self.best_loss()
        if known is None and least is None:
            return
        if known is None or (least is not None and known > least):
            raise TrainingError(f"{self.best} is not the best state of the run, whose loss was {least}; {_WAY_OUT}")
        check_manifest(self.best, _WAY_OUT)

    def publish(self, draft: Path, last: str, steps: int) -> None:
        """Move the files of `draft` into `out`; the file `last`, which makes it a checkpoint, at the end."""
        for file in sorted(draft.iterdir(), key=lambda file: file.name == last):
            file.replace(self.out / file.name)
        draft.rmdir()
        _write(self._finished, json.dumps({"steps": steps}))

    def _has_state(self) -> bool:
        """Return whether the run has saved a state or published its result."""
        return bool(self.all_checkpoints()) or self._finished.is_file()

    def _tidy(self) -> None:
        """Remove remains of a killed start."""
        self.checkpoints.mkdir(parents=True, exist_ok=True)
        for partial in self.checkpoints.glob(".*"):  # of a run that was killed while it saved
            shutil.rmtree(partial)
        for draft in self.path.glob(".*.part"):
            draft.unlink()
        if self._former_best.is_dir() and not self.best.is_dir():
            self._former_best.rename(self.best)
        shutil.rmtree(self.index, ignore_errors=True)  # every start writes it anew

    def _read_recipe(self) -> dict[str, Any]:
        try:
            recipe = yaml.safe_load(self._recipe.read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise TrainingError(f"{self._recipe} is missing or damaged; {_WAY_OUT}") from error
        if not isinstance(recipe, dict):
            raise TrainingError(f"{self._recipe} is damaged; {_WAY_OUT}")
        return recipe

    def _check_same(self, before: dict[str, Any], now: dict[str, Any]) -> None:
        for name in sorted((before.keys() | now.keys()) - _FREE, key=str):
            if before.get(name) != now.get(name):
                was, wanted = before.get(name, "its default"), now.get(name, "its default")
                raise SettingsError(
                    f"{self.out} holds a run with {name}={was}, now it is {wanted}; give what it began with, another "
                    "out, or --restart to forget it"
                )


def step_of(checkpoint: Path) -> int:
    """Return the step in the name of a checkpoint's folder."""
    return int(checkpoint.name.rpartition("-")[2])


def _write(path: Path, text: str) -> None:
    with atomic_draft(path) as draft:
        draft.write_text(text, encoding="utf-8")


def digest(data: bytes) -> str:
    """Return a short hash that identifies a run."""
    return hashlib.sha256(data).hexdigest()[:16]
