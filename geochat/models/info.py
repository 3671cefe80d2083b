"""Facts about a model that are public outside its engine."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from geochat.dialects import Dialect
from geochat.errors import CheckpointError
from geochat.files import sha256_of
from geochat.geometry import ModelFrame
from geochat.models.settings import Settings


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Abilities of an engine besides generating text.

    Attributes:
        logprobs: Whether it returns log-probabilities of tokens.
        choices: Whether it scores a closed set of answers (`Request.choices`).
        images: Images a request may hold.
    """

    logprobs: bool = False
    choices: bool = False
    images: int = 1


@dataclass(frozen=True)
class ModelInfo:
    """A model as described by its engine: plain, picklable data.

    Attributes:
        settings: Its GeoChat settings: name, tasks, classes, ground resolution, licence.
        image_size: Side of the square it sees, in pixels.
        patch_size: Side of the patches that square is cut into, in pixels; None where unknown.
        context: Tokens that prompt and answer may have together; None where unknown.
        capabilities: Abilities of its engine.
        weights: The files its weights came from, of which `sha256` is made.
        stated_sha256: The hash where the engine states it and the files are elsewhere.
    """

    settings: Settings
    image_size: int
    patch_size: int | None = None
    context: int | None = None
    capabilities: Capabilities = Capabilities()
    weights: tuple[Path, ...] = field(default=(), repr=False)
    stated_sha256: str | None = None

    @property
    def name(self) -> str:
        """Name of the model in answers and exports."""
        return self.settings.name

    @cached_property
    def sha256(self) -> str | None:
        """Hex digest of the weights, computed on first use; None if it is unknown.

        Raises:
            CheckpointError: The weights have gone since they were loaded.
        """
        return weights_sha256(self.weights) if self.stated_sha256 is None and self.weights else self.stated_sha256

    @cached_property
    def dialect(self) -> Dialect:
        """The model's dialect, with its own fit and angles."""
        return self.settings.dialect_for(self.image_size)

    @property
    def frame(self) -> ModelFrame:
        """The square that the model sees and the numbers that it writes."""
        return self.dialect.model_frame


def weights_sha256(files: Iterable[Path]) -> str:
    """Return the SHA-256 of the files of a checkpoint in order, as a hex digest.

    Raises:
        CheckpointError: A file cannot be read.
    """
    try:
        return sha256_of(*files)
    except OSError as error:
        raise CheckpointError(
            f"{error.filename} cannot be read ({error.strerror}); copy the checkpoint again"
        ) from error
