"""A conversation at the terminal, and what is set for its next questions."""

from collections.abc import Sequence
from pathlib import Path

from geochat.assistant import AnswerStream, GeoChat, RegionLike
from geochat.assistant.region_input import pixel_boxes
from geochat.engines import GenerationSettings
from geochat.errors import ContextLengthError
from geochat.imagery import GeoImage


class Talk:
    """A conversation that can change its subject.

    Attributes:
        conversation: The questions and answers about the present image.
        task: The kind of the next questions, a name of `options.TASKS`.
    """

    def __init__(
        self, chat: GeoChat, image: GeoImage, generation: GenerationSettings, *, verbatim: bool = False
    ) -> None:
        self._chat = chat
        self._generation = generation
        self._verbatim = verbatim
        self.task = "auto"
        self.look_at(image)

    def look_at(self, image: GeoImage) -> None:
        """Start a conversation about an image; regions belonged to the one before."""
        self.conversation = self._chat.start(image)
        self._regions: Sequence[RegionLike] = ()
        self._count = 0

    def ask_about(self, regions: Sequence[RegionLike]) -> None:
        """Make the next questions be about these regions, or about the whole image where there are none.

        Raises:
            RegionError: A region is malformed or lies outside the view.
        """
        self._count = len(pixel_boxes(regions, self.conversation.image.frame))
        self._regions = regions

    def forget(self) -> None:
        """Start again with the same image, task and regions."""
        self.conversation = self._chat.start(self.conversation.image)

    def stream(self, question: str) -> AnswerStream:
        """Ask with the task and regions that are set.

        Raises:
            GeoChatError: The question cannot be asked.
        """
        try:
            return self.conversation.stream(
                question, regions=self._regions, task=self.task, raw=self._verbatim, generation=self._generation
            )
        except ContextLengthError as error:
            if not self.conversation.history:
                raise
            raise ContextLengthError(f"{error}; /clear forgets the conversation so far") from error

    @property
    def view(self) -> str:
        """What is looked at, in a few words."""
        image = self.conversation.image
        name = "an image" if image.path is None else Path(image.path).name
        column, row, width, height = image.window
        if (width, height) == (image.width, image.height):
            return f"{name}, {width} x {height} pixels"
        return f"{name}, {width} x {height} pixels from {column},{row}"

    @property
    def prompt(self) -> str:
        """What stands before the next question: the settings that differ from the usual."""
        told = [] if self.task == "auto" else [self.task]
        if self._count:
            told.append("1 region" if self._count == 1 else f"{self._count} regions")
        return f"{', '.join(told)}> "
