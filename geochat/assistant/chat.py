"""The door most users come through."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self

from geochat.assistant.answer import Answer
from geochat.assistant.asking import RegionFrame, RegionLike
from geochat.assistant.conversation import AnswerStream, Conversation
from geochat.engines import Engine, GenerationSettings
from geochat.errors import ImageError
from geochat.imagery import BandChoice, GeoImage, ImageSource, Stretch, open_image
from geochat.imagery.stretch import Method
from geochat.prompts import Task


class GeoChat:
    """Answers questions about images with an engine.

    >>> chat = GeoChat.from_pretrained()
    >>> answer = chat.ask("scene.tif", "[grounding] Describe the image.")
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @classmethod
    def from_pretrained(
        cls, source: str | Path | None = None, *, device: str | None = None, dtype: str | None = None
    ) -> Self:
        """Load a checkpoint into this process.

        Args:
            source: A directory or hub id; None takes the model that ships with the package.
            device: Such as "cpu" or "cuda:1"; None takes the best there is.
            dtype: Such as "float32"; None takes the device's usual one.

        Raises:
            CheckpointError: There is no such checkpoint or it is damaged.
            SettingsError: The device or dtype does not exist here.
        """
        from geochat.checkpoints import load  # noqa: PLC0415 - imports torch, which other engines do not need
        from geochat.engines import LocalEngine  # noqa: PLC0415

        return cls(LocalEngine(load(source, device=device, dtype=dtype)))

    def start(
        self,
        image: ImageSource | GeoImage,
        *,
        window: Sequence[int] | None = None,
        bands: BandChoice = "auto",
        stretch: Stretch | Method = "auto",
    ) -> Conversation:
        """Open an image and start a conversation about it.

        Args:
            image: A path, an array, a Pillow image, or an image already opened.
            window: The part to look at, (column, row, width, height) in pixels of the whole image.
            bands: Which bands become red, green and blue.
            stretch: How band values become brightness.

        Raises:
            ImageError: The image cannot be read or has no such window or bands, or it is already opened and a
                window, bands or a stretch is asked for.
        """
        if isinstance(image, GeoImage):
            if window is not None or bands != "auto" or stretch != "auto":
                raise ImageError("the image is already opened; give window, bands and stretch to open_image instead")
            opened = image
        else:
            opened = open_image(image, bands=bands, window=window, stretch=stretch)
        fitted = replace(opened.frame, fit=self.engine.settings.fit, model_size=self.engine.image_size)
        return Conversation(self.engine, replace(opened, frame=fitted))

    def ask(
        self,
        image: ImageSource | GeoImage,
        question: str,
        *,
        regions: RegionLike | Iterable[RegionLike] = (),
        region_frame: RegionFrame = "pixels",
        task: Task | None = None,
        window: Sequence[int] | None = None,
        bands: BandChoice = "auto",
        stretch: Stretch | Method = "auto",
        generation: GenerationSettings | None = None,
    ) -> Answer:
        """Ask one question about an image; arguments and errors as in `start` and `Conversation.stream`."""
        return self.start(image, window=window, bands=bands, stretch=stretch).ask(
            question, regions=regions, region_frame=region_frame, task=task, generation=generation
        )

    def stream(
        self,
        image: ImageSource | GeoImage,
        question: str,
        *,
        regions: RegionLike | Iterable[RegionLike] = (),
        region_frame: RegionFrame = "pixels",
        task: Task | None = None,
        window: Sequence[int] | None = None,
        bands: BandChoice = "auto",
        stretch: Stretch | Method = "auto",
        generation: GenerationSettings | None = None,
    ) -> AnswerStream:
        """Ask one question and read the answer while it is being written; see `ask`."""
        return self.start(image, window=window, bands=bands, stretch=stretch).stream(
            question, regions=regions, region_frame=region_frame, task=task, generation=generation
        )
