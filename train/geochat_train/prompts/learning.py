"""Settings and loop of prompt learning: cross-entropy over precomputed features.

The defaults are the published ones. CoOp (arXiv 2109.01134, section 4.1) and CoCoOp (arXiv 2203.05557, section 4): SGD,
rate 0.002, cosine, one warm-up epoch at 1e-5. Momentum 0.9 and weight decay 5e-4 are those that the published code runs
with.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from geochat.clip.learned import Prompts
from geochat.errors import SettingsError

_MOST = {"epochs": 1_000_000, "batch_size": 65_536, "views": 1000, "seed": 2**32 - 1}
_EPOCHS = {1: 50, 2: 100, 4: 100}  # CoOp's by shots; 200 at 8 and 16


@dataclass(frozen=True)
class LearningSettings:
    """One run's settings.

    Attributes:
        epochs: Passes over the images.
        batch_size: Images per step.
        rate: Learning rate after the warm-up.
        warmup_epochs: Epochs at `warmup_rate`.
        warmup_rate: Learning rate there.
        momentum: Momentum of SGD.
        weight_decay: Weight decay of SGD.
        views: Views of each image: the image as it is, and random crops. Each epoch draws one for each image.
        seed: Seed of the first vectors, the order of images and the views.
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
        """Return the learning rate of an epoch, counted from 0: constant during warm-up, then half a cosine wave."""
        if epoch < self.warmup_epochs:
            return self.warmup_rate
        return self.rate * (1 + math.cos(math.pi * (epoch - self.warmup_epochs) / self.epochs)) / 2


def published(method: str, shots: int) -> LearningSettings:
    """Return the published schedule: CoOp's 50, 100 or 200 epochs in batches of 32, CoCoOp's 10 of single images."""
    if method == "cocoop":
        return LearningSettings(epochs=10, batch_size=1)
    return LearningSettings(epochs=_EPOCHS.get(shots, 200))


OnEpoch = Callable[[int, float], None]


def learn(
    prompts: Prompts, features: Tensor, labels: Tensor, settings: LearningSettings, on_epoch: OnEpoch | None = None
) -> list[float]:
    """Learn the prompts' vectors, and the meta-net if there is one; nothing else changes.

    As in the published loop, an incomplete last batch of an epoch is skipped if there was a complete one.

    Args:
        prompts: CoOp or CoCoOp, changed in place.
        features: (views, N, D), of length 1, on the prompts' device.
        labels: (N,), numbers of classes.
        settings: The schedule.
        on_epoch: Called with an epoch's number, from 0, and mean loss.

    Returns:
        The mean loss of each epoch.

    Raises:
        SettingsError: The loss is no longer a number.
    """
    views, count, _ = features.shape
    draw = torch.Generator().manual_seed(settings.seed)
    optimizer = torch.optim.SGD(
        prompts.parameters(), settings.rate, momentum=settings.momentum, weight_decay=settings.weight_decay
    )
    losses: list[float] = []
    prompts.train()
    for epoch in range(settings.epochs):
        for group in optimizer.param_groups:
            group["lr"] = settings.rate_at(epoch)
        order, view = torch.randperm(count, generator=draw), torch.randint(views, (count,), generator=draw)
        batches = order.split(settings.batch_size)
        total = torch.zeros((), device=features.device)
        full = [batch for batch in batches if len(batch) == settings.batch_size] or batches
        for batch in full:
            loss = functional.cross_entropy(prompts(features[view[batch], batch]), labels[batch])
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            total += loss.detach()
        losses.append(total.item() / len(full))
        if not math.isfinite(losses[-1]):
            raise SettingsError(f"the loss became {losses[-1]} in epoch {epoch + 1}; take a lower rate")
        if on_epoch is not None:
            on_epoch(epoch, losses[-1])
    prompts.eval()
    return losses


@torch.no_grad()
def accuracy(prompts: Prompts, features: Tensor, labels: Tensor) -> float:
    """Return the share of images (N, D) whose most probable class is correct."""
    found = torch.cat([prompts(batch).argmax(-1) for batch in features.split(32)])
    return (found == labels).float().mean().item()
