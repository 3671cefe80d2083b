"""Contrastive training of dual encoders: the loss over the batches of all processes."""

from geochat_train.contrastive.loss import INITIAL_LOG_SCALE, MAX_SCALE, clamp_scale, contrastive_loss

__all__ = ["INITIAL_LOG_SCALE", "MAX_SCALE", "clamp_scale", "contrastive_loss"]
