"""Facts about a model without loading it: settings, description, and the bundled weights. No torch."""

from geochat.models.bundled import bundled_names, bundled_path, find_bundled
from geochat.models.confidence import BoxConfidence
from geochat.models.info import Capabilities, ModelInfo, weights_sha256
from geochat.models.settings import SETTINGS_FILE, Settings, read_settings, write_settings

__all__ = [
    "SETTINGS_FILE",
    "BoxConfidence",
    "Capabilities",
    "ModelInfo",
    "Settings",
    "bundled_names",
    "bundled_path",
    "find_bundled",
    "read_settings",
    "weights_sha256",
    "write_settings",
]
