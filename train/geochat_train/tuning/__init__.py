"""Instruction tuning: LoRA, QLoRA, full, projector alone."""

from geochat_train.tuning.run import Tuning, tune

__all__ = ["Tuning", "tune"]
