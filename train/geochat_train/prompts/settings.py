"""How prompts are learned; the defaults are the published ones.

CoOp (arXiv 2109.01134, section 4.1) and CoCoOp (arXiv 2203.05557, section 4): SGD, rate 0.002, cosine, one warm-up
epoch at 1e-5. Momentum 0.9 and weight decay 5e-4 are those that the published code runs with.
"""

import math
from dataclasses import dataclass

from geochat.errors import SettingsError

_MOST = {"epochs": 1_000_000, "batch_size": 65_536, "views": 1000, "seed": 2**32 - 1}
_EPOCHS = {1: 50, 2: 100, 4: 100}  # CoOp's by shots; 200 at 8 and 16


@dataclass(frozen=True)
class LearningSettings:
    """One run's settings.

    Attributes:
        epochs: Passes over the images.
        batch_size: Images a step.
        rate: Learning rate after the warm-up.
        warmup_epochs: Epochs at `warmup_rate`.
        warmup_rate: Learning rate there.
        momentum: Of SGD.
        weight_decay: Of SGD.
        views: Views of each image: the image as it is, and random crops. Each epoch draws one for each image.
        seed: Of the first vectors, the order of images and the views.
    """

    epochs: int = 200
    batch_size: int = 32
    rate: float = 0.002
    warmup_epochs: int = 1
    warmup_rate: float = 1e-5
    momentum: float = 0.9
    weight_decay: float = 5e-4
    views: int = 4
    seed: int = 1

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "views"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name}={getattr(self, name)} leaves nothing to learn from; give at least 1")
        for name, most in _MOST.items():
            if getattr(self, name) > most:
                raise SettingsError(f"{name}={getattr(self, name)} is too large; give at most {most:,}")
        if self.seed < 0:
            raise SettingsError(f"seed={self.seed} is negative; give 0 or more")
        if not (math.isfinite(self.rate) and self.rate > 0):
            raise SettingsError(f"rate={self.rate} teaches nothing; give a number above 0")

    def rate_at(self, epoch: int) -> float:
        """The learning rate of an epoch, counted from 0: constant while warming up, then half a cosine wave."""
        if epoch < self.warmup_epochs:
            return self.warmup_rate
        return self.rate * (1 + math.cos(math.pi * (epoch - self.warmup_epochs) / self.epochs)) / 2


def published(method: str, shots: int) -> LearningSettings:
    """The published schedule: CoOp's 50, 100 or 200 epochs of batches of 32, CoCoOp's 10 epochs of single images."""
    if method == "cocoop":
        return LearningSettings(epochs=10, batch_size=1)
    return LearningSettings(epochs=_EPOCHS.get(shots, 200))
