"""What is known of a model without loading it: its settings, its facts, and the weights in the package. No torch."""

from geochat.models.bundled import bundled_path
from geochat.models.info import Capabilities, ModelInfo, sha256_of
from geochat.models.settings import SETTINGS_FILE, Settings, read_settings, write_settings

__all__ = [
    "SETTINGS_FILE",
    "Capabilities",
    "ModelInfo",
    "Settings",
    "bundled_path",
    "read_settings",
    "sha256_of",
    "write_settings",
]
