"""Loading and saving checkpoints."""

from geochat.checkpoints.loading import Checkpoint, bundled_path, load
from geochat.checkpoints.saving import save_checkpoint
from geochat.checkpoints.settings import SETTINGS_FILE, Settings

__all__ = ["SETTINGS_FILE", "Checkpoint", "Settings", "bundled_path", "load", "save_checkpoint"]
