"""The error hierarchy.

Every error that this project raises on purpose is a `GeoChatError`. Its message names the bad value and the next step,
so that the command line can print it as one line and a caller can catch all of them.
"""


class GeoChatError(Exception):
    """Base of all errors raised on purpose; the message names the bad value and the next step."""


class ImageError(GeoChatError):
    """An image cannot be read, or what it holds cannot be used."""


class RegionError(GeoChatError):
    """A region asked for is malformed, degenerate or outside the image."""


class PromptError(GeoChatError):
    """A question, task or conversation cannot be turned into a prompt."""


class ContextLengthError(PromptError):
    """The prompt and the answer asked for do not fit the model's context."""


class CheckpointError(GeoChatError):
    """A checkpoint is missing, incomplete or not what it says it is."""


class EngineError(GeoChatError):
    """A server for a model cannot be reached, refuses a request, or breaks off."""


class SettingsError(GeoChatError):
    """A setting has an impossible value, or two settings contradict each other."""


class ExportError(GeoChatError):
    """An answer cannot be written where or how it was asked for."""


class DataError(GeoChatError):
    """Training or evaluation data is missing or malformed."""


class TrainingError(GeoChatError):
    """Training cannot continue: out of memory, disk full, or a loss that is not finite."""
