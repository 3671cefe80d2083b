"""Instruction tuning: LoRA, QLoRA, full, projector only."""

from geochat_train.tuning.run import Tuning, tune

__all__ = ["Tuning", "tune"]
