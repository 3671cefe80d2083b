"""The loop: cross-entropy over features that were made before it begins."""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from geochat.clip.learned import Prompts
from geochat.errors import SettingsError
from geochat_train.prompts.settings import LearningSettings

OnEpoch = Callable[[int, float], None]


def learn(
    prompts: Prompts, features: Tensor, labels: Tensor, settings: LearningSettings, on_epoch: OnEpoch | None = None
) -> list[float]:
    """Learn the prompts' vectors, and the meta-net where there is one; nothing else changes.

    As in the published loop, an epoch's last batch is left out where it is not full and another one was.

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
    """The share of images (N, D) whose likeliest class is theirs."""
    found = torch.cat([prompts(batch).argmax(-1) for batch in features.split(32)])
    return (found == labels).float().mean().item()
