"""What runs of every method share: the trainer, its folder, its log, and what is told when it cannot go on."""

from geochat_train.loop.arguments import needed, training_arguments
from geochat_train.loop.folder import RunFolder
from geochat_train.loop.guards import explained
from geochat_train.loop.order import InOrder, training_order
from geochat_train.loop.progress import LogFile, Progress, Tell
from geochat_train.loop.trainer import SafeTrainer

__all__ = [
    "InOrder",
    "LogFile",
    "Progress",
    "RunFolder",
    "SafeTrainer",
    "Tell",
    "explained",
    "needed",
    "training_arguments",
    "training_order",
]
