"""transformers' `Trainer` with atomic checkpoints, a fixed order of rows, and no step on non-finite numbers.

The order of rows is a function of the seed alone, so that an interrupted run resumes identically. Each pass over the
data is a new shuffle. To batch rows of similar length, a shuffled section of many batches is sorted by length, divided
into batches, and the batches are shuffled; the expected mix of rows stays that of a shuffle. All passes form one
sequence of full batches, so all steps have equal size.
"""

import math
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed, nn
from torch.utils.data import Sampler
from transformers import PrinterCallback, Trainer, TrainerState

from geochat.errors import SettingsError, TrainingError
from geochat_train.loop.arguments import shards_parameters
from geochat_train.loop.folder import TrainingFolder, step_of
from geochat_train.loop.manifest import NAME, check_manifest, look_through, write_manifest
from geochat_train.loop.progress import LastEvaluation, Tell

_STRETCH = 50  # batches sorted together


def training_order(
    lengths: NDArray[np.int32], batch: int, steps: int, seed: int, *, group: bool = True
) -> NDArray[np.int64]:
    """Return indices of the rows of `steps` batches of `batch` rows, (steps x batch,).

    Args:
        lengths: Lengths of each row.
        batch: Rows of a step over all processes.
        steps: Number of steps.
        seed: Seed of all random choices.
        group: Whether a batch holds rows of like length.
    """
    rng = np.random.default_rng(seed)
    wanted = steps * batch
    taken: list[NDArray[np.int64]] = []
    left = np.empty(0, np.int64)  # rows that make no whole batch wait for the next pass
    count = 0
    while count < wanted:
        rows = np.concatenate([left, rng.permutation(len(lengths))])
        whole = len(rows) // batch * batch
        left = rows[whole:]
        count += whole
        for start in range(0, whole, _STRETCH * batch):
            part = rows[start : min(start + _STRETCH * batch, whole)]
            if group:
                part = part[np.argsort(-lengths[part], kind="stable")].reshape(-1, batch)
                part = part[rng.permutation(len(part))].ravel()
            taken.append(part)
    return np.concatenate(taken)[:wanted]


class InOrder(Sampler[int]):
    """Yields indices in the given order."""

    def __init__(self, order: NDArray[np.int64]) -> None:
        self.order = order

    def __iter__(self) -> Iterator[int]:
        return map(int, self.order)

    def __len__(self) -> int:
        return len(self.order)


Rates = Callable[[str], float]


class SafeTrainer(Trainer):
    """Trains `model` on `train_dataset` in the order of `order`.

    Args:
        folder: Folder for checkpoints.
        order: Indices of rows, in whole steps.
        keep: Checkpoints kept.
        keep_best: Whether the state with the lowest validation loss is kept too, and published.
        rates: Learning rate of the parameter of a name; None takes one for all.
        tell: Called with messages about what cannot be checked.
        options: For `Trainer`.
    """

    def __init__(
        self,
        *,
        folder: TrainingFolder,
        order: InOrder,
        keep: int,
        keep_best: bool = False,
        rates: Rates | None = None,
        tell: Tell = lambda _: None,
        **options: Any,  # noqa: ANN401 - Trainer's own
    ) -> None:
        super().__init__(**options)
        if shards_parameters() and not (self.is_fsdp_enabled or self.is_deepspeed_enabled):
            raise SettingsError(
                "sharding is asked for, but accelerate shards nothing on this device and would copy the model to every "
                "process; use GPUs, or accelerate's configuration for DDP"
            )
        self.remove_callback(PrinterCallback)
        self.add_callback(LastEvaluation)
        self._folder = folder
        self._order = order
        self._keep = keep
        self._keep_best = keep_best
        self._rates = rates
        self._tell = tell
        self._staging: Path | None = None

    def _get_train_sampler(self, _: Any = None) -> Sampler[int]:  # noqa: ANN401
        return self._order

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """Group parameters by learning rate; vectors have no weight decay."""
        if self.optimizer is None:
            kind, options = self.get_optimizer_cls_and_kwargs(self.args)
            groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
            learner: Any = model or self.model
            for name, parameter in learner.named_parameters():
                if parameter.requires_grad:
                    rate = self._rates(name) if self._rates else self.args.learning_rate
                    groups.setdefault((rate, parameter.ndim > 1), []).append(parameter)
            self.optimizer = kind(
                [
                    {"params": parameters, "lr": rate, "weight_decay": self.args.weight_decay * decays}
                    for (rate, decays), parameters in groups.items()
                ],
                **options,
            )
        return self.optimizer

    def training_step(self, *arguments: Any, **options: Any) -> Tensor:  # noqa: ANN401
        """Take a step, whose loss must be finite.

        Raises:
            TrainingError: It is not.
        """
        loss: Tensor = super().training_step(*arguments, **options)
        if not math.isfinite(loss.item()):
            self._stop(f"the loss is {loss.item()}")
        return loss

    @property
    def best_loss(self) -> float | None:
        """The lowest validation loss so far, over all starts of the run."""
        return self._folder.best_loss()

    def go_on(self) -> None:
        """Train from the folder's last checkpoint, or only load its state if no step is left.

        Raises:
            TrainingError: The checkpoint is not as it was written.
        """
        last = self._folder.last_checkpoint()
        if last is not None and self.is_world_process_zero():
            self._check(last)
        _wait()
        if last is None or step_of(last) < self.args.max_steps:
            self.train(resume_from_checkpoint=str(last) if last else None)
        else:
            self._load_from_checkpoint(str(last))
            self.state = TrainerState.load_from_json(str(last / "trainer_state.json"))

    def _check(self, checkpoint: Path) -> None:
        way_out = self._folder.way_out(checkpoint)
        about = check_manifest(checkpoint, way_out)
        if about is None:
            if not shards_parameters():
                look_through(checkpoint, way_out)
            self._tell(f"{checkpoint} has no {NAME}, so that changes to it would not be noticed")
        if self._keep_best:
            self._folder.check_best((about or {}).get("best_loss"))

    def last_logged(self, name: str) -> float | None:
        """The last value logged under a name."""
        return next((row[name] for row in reversed(self.state.log_history) if name in row), None)

    def evaluate(self, *arguments: Any, **options: Any) -> dict[str, float]:  # noqa: ANN401
        """Validate, and save the state if it is the best so far."""
        metrics: dict[str, float] = super().evaluate(*arguments, **options)
        loss, before = metrics["eval_loss"], self.best_loss
        if self._keep_best and (before is None or loss < before):
            draft = self._folder.path / ".best"
            self._write(draft)
            if self.args.should_save:
                self._folder.take_best(draft, loss)
            _wait()
        return metrics

    def publish(self, last: str) -> None:
        """Publish the result in the folder, the file `last` at the end."""
        draft = self._folder.path / "result"
        if self._keep_best and self.best_loss is not None:
            if self.args.should_save:
                self._folder.check_best(None)
                shutil.rmtree(draft, ignore_errors=True)
                shutil.copytree(self._folder.best, draft, ignore=shutil.ignore_patterns(NAME))
        else:
            self._write(draft)
        if self.args.should_save:
            self._folder.publish(draft, last, self.state.global_step)
        _wait()

    def _write(self, draft: Path) -> None:
        if self.args.should_save:
            shutil.rmtree(draft, ignore_errors=True)
        _wait()
        if self.is_fsdp_enabled:  # whose `save_model` leaves it at the shards of a checkpoint
            whole = self.accelerator.get_state_dict(self.model)
            self._save(str(draft), whole)
        else:
            self.save_model(str(draft), _internal_call=True)

    def _stop(self, what: str) -> None:
        rate = self._get_learning_rate()
        raise TrainingError(
            f"{what} at step {self.state.global_step + 1}, learning rate {rate:.2g}; lower learning_rate or "
            f"max_gradient_norm, lengthen warmup, or use precision=float32. {self._folder.kept()}"
        )

    # A checkpoint is written into a hidden folder and renamed: a run killed meanwhile finds the one before it.

    def _get_output_dir(self, trial: Any) -> str:  # noqa: ANN401
        return str(self._staging or super()._get_output_dir(trial))

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:  # noqa: ANN401
        if any(not p.isfinite().all() for p in model.parameters() if p.requires_grad):
            self._stop("a weight is no number")
        self._staging = self._folder.checkpoints / f".step-{self.state.global_step}"
        try:
            super()._save_checkpoint(model, trial)
        finally:
            staged, self._staging = self._staging, None
        _wait()
        if self.args.should_save:
            name = f"checkpoint-{self.state.global_step}"
            target = self._folder.checkpoints / name
            best = self.best_loss if self._keep_best else None
            write_manifest(staged / name, {"step": self.state.global_step, "best_loss": best})
            shutil.rmtree(target, ignore_errors=True)
            (staged / name).rename(target)
            shutil.rmtree(staged)
            for checkpoint in self._folder.all_checkpoints()[: -self._keep]:
                shutil.rmtree(checkpoint, ignore_errors=True)
        _wait()


def _wait() -> None:
    if distributed.is_available() and distributed.is_initialized():
        distributed.barrier()
