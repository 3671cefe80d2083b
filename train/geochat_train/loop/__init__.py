"""Code shared by runs of every method: the trainer, its folder, its log, and the messages of a failed run."""

from geochat_train.loop.arguments import needed, training_arguments
from geochat_train.loop.folder import TrainingFolder
from geochat_train.loop.progress import LogFile, ProgressLines, Tell
from geochat_train.loop.running import opened_run
from geochat_train.loop.trainer import InOrder, SafeTrainer, training_order

__all__ = [
    "InOrder",
    "LogFile",
    "ProgressLines",
    "SafeTrainer",
    "Tell",
    "TrainingFolder",
    "needed",
    "opened_run",
    "training_arguments",
    "training_order",
]
