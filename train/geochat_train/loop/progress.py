"""Progress of a run: a line with the remaining time, and a log file."""

import json
import math
import time
from collections.abc import Callable
from pathlib import Path

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import IntervalStrategy

Tell = Callable[[str], None]


class ProgressLines(TrainerCallback):
    """Prints step, loss, speed and remaining time at each log event."""

    def __init__(self, tell: Tell, rows: int) -> None:
        self._tell = tell
        self._rows = rows
        self._began = 0.0
        self._first = 0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Start the clock."""
        self._began, self._first = time.monotonic(), state.global_step
        if self._first:
            self._tell(f"going on from step {self._first} of {state.max_steps}")

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: object,
    ) -> None:
        """Print one line."""
        if logs is None or not state.is_world_process_zero:
            return
        done = state.global_step - self._first
        if "eval_loss" in logs:
            reward = f", reward {logs['eval_reward']:.3f}" if "eval_reward" in logs else ""
            self._tell(f"step {state.global_step}: validation loss {logs['eval_loss']:.4f}{reward}")
        elif "loss" in logs and done:
            passed = time.monotonic() - self._began
            left = passed / done * (state.max_steps - state.global_step)
            reward = f", reward {logs['reward']:.3f}" if "reward" in logs else ""
            self._tell(
                f"step {state.global_step} of {state.max_steps}: loss {logs['loss']:.4f}{reward}, "
                f"{done * self._rows / passed:.1f} rows/s, {clock(left)} left"
            )


class LogFile(TrainerCallback):
    """Appends log events to a file of JSON lines; lines beyond the step of resumption are removed."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Truncate the log at the step of resumption."""
        if state.is_world_process_zero and self._path.is_file():
            lines = self._path.read_text(encoding="utf-8").splitlines()
            kept = [line for line in lines if _step(line) <= state.global_step]
            self._path.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: object,
    ) -> None:
        """Append one line."""
        if logs is None or not state.is_world_process_zero or "train_runtime" in logs:
            return
        finite = {name: value for name, value in logs.items() if math.isfinite(value)}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": state.global_step, **finite}) + "\n")


def clock(seconds: float) -> str:
    """Format a duration: 3:05, or 2:03:05."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _step(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):  # cut off by a kill
        return math.inf


class LastEvaluation(TrainerCallback):
    """Validates after the last step as well: the state after the learning rate has decayed is often the best."""

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Request an evaluation after the last step."""
        if args.eval_strategy != IntervalStrategy.NO and state.global_step >= state.max_steps:
            control.should_evaluate = True
