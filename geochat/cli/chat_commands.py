"""The state of a terminal conversation, and its commands: lines that begin with a slash."""

import argparse
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

from geochat.assistant import AnswerStream, RegionLike
from geochat.assistant.layers import layer_shapes
from geochat.assistant.region_input import pixel_boxes
from geochat.chat import GeoChat
from geochat.cli import options, text, values
from geochat.cli.output import note
from geochat.engines import GenerationSettings
from geochat.errors import ContextLengthError, PromptError, RegionError
from geochat.exports import read_vector_layer
from geochat.imagery import GeoImage
from geochat.imagery.remote import is_address

_VECTOR = (".geojson", ".json", ".gpkg", ".shp", ".fgb")


class Session:
    """A conversation, and the task and regions of its next questions.

    Attributes:
        conversation: The questions and answers about the current image.
        task: The kind of the next questions, a name of `options.TASKS`.
    """

    def __init__(
        self, chat: GeoChat, image: GeoImage, generation: GenerationSettings, *, verbatim: bool = False
    ) -> None:
        self._chat = chat
        self._generation = generation
        self._verbatim = verbatim
        self.task = "auto"
        self.open(image)

    def open(self, image: GeoImage) -> None:
        """Start a conversation about an image, without regions."""
        self.conversation = self._chat.start(image)
        self._regions: Sequence[RegionLike] = ()
        self._count = 0

    def set_regions(self, regions: Sequence[RegionLike]) -> None:
        """Ask the next questions about these regions, or about the whole image if there are none.

        Raises:
            RegionError: A region is malformed or lies outside the view.
        """
        self._count = len(pixel_boxes(regions, self.conversation.image.frame))
        self._regions = regions

    def clear(self) -> None:
        """Restart with the same image, task and regions."""
        self.conversation = self._chat.start(self.conversation.image)

    def stream(self, question: str) -> AnswerStream:
        """Ask with the current task and regions.

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
        """Describe the view in a few words: file, size and, for a part of an image, its position."""
        image = self.conversation.image
        name = "an image" if image.source is None else Path(image.source).name
        column, row, width, height = image.window
        if (width, height) == (image.width, image.height):
            return f"{name}, {width} x {height} pixels"
        return f"{name}, {width} x {height} pixels from {column},{row}"

    @property
    def prompt(self) -> str:
        """The prompt of the next line, with the settings that differ from the defaults."""
        settings = [] if self.task == "auto" else [self.task]
        if self._count:
            settings.append("1 region" if self._count == 1 else f"{self._count} regions")
        return f"{', '.join(settings)}> "


def run_command(session: Session, line: str) -> bool:
    """Run a command of the conversation.

    Args:
        session: The conversation.
        line: The command and its arguments, quoted as in a shell.

    Returns:
        Whether the conversation goes on.

    Raises:
        GeoChatError: There is no such command, or it fails; `session` is then unchanged.
    """
    try:
        name, *words = shlex.split(line)
    except ValueError as error:
        raise PromptError(f"{line!r} cannot be read: {error}; quote names with blanks or quotation marks") from error
    command = _COMMANDS.get(name)
    if command is None:
        raise PromptError(f"there is no command {name!r}; /help lists the commands")
    if not command.least <= len(words) <= command.most:
        raise PromptError(f"{name} takes {command.arguments or 'nothing after it'}, not {' '.join(words) or 'nothing'}")
    if command.run is None:
        return False
    command.run(session, words)
    return True


def _region(session: Session, words: Sequence[str]) -> None:
    session.set_regions([region for word in words for region in _regions(word, session.conversation.image)])


def _task(session: Session, words: Sequence[str]) -> None:
    if words[0] not in options.TASKS:
        raise PromptError(f"there is no task {words[0]!r}; choose from {', '.join(options.TASKS)}")
    session.task = words[0]


def _image(session: Session, words: Sequence[str]) -> None:
    parser = _RaisingParser(prog="/image", add_help=False)
    parser.add_argument("image", metavar="FILE", type=_typed_image)
    options.add_view_options(parser)
    args = parser.parse_args(words)
    session.open(options.open_view(args, args.image))
    note(session.view)


def _save(session: Session, words: Sequence[str]) -> None:
    note(f"wrote {text.save_conversation(session.conversation.history, _path(words[0]))}")


def _history(session: Session, _words: Sequence[str]) -> None:
    print(text.conversation_as_text(session.conversation.history))


def _clear(session: Session, _words: Sequence[str]) -> None:
    session.clear()


def _help(_session: Session, _words: Sequence[str]) -> None:
    for name, command in _COMMANDS.items():
        print(f"{name} {command.arguments}".ljust(37), command.help)


class _Command(NamedTuple):
    """A command: its arguments, their minimum and maximum number, its help and its function; None quits."""

    arguments: str
    least: int
    most: int
    help: str
    run: Callable[[Session, Sequence[str]], None] | None = None


_COMMANDS = {
    "/region": _Command("[BOX | FILE]...", 0, 99, "ask about x1,y1,x2,y2[,θ] or polygons; alone, about all", _region),
    "/task": _Command("NAME", 1, 1, f"kind of question: {', '.join(options.TASKS)}", _task),
    "/image": _Command("FILE [--window W] [--bands B]", 1, 99, "open another image", _image),
    "/save": _Command("FILE", 1, 1, f"write {text.CONVERSATION_FILES}", _save),
    "/history": _Command("", 0, 0, "show the conversation", _history),
    "/clear": _Command("", 0, 0, "forget the conversation so far", _clear),
    "/help": _Command("", 0, 0, "show this list", _help),
    "/quit": _Command("", 0, 0, "quit, as Ctrl-D does"),
}


def _regions(word: str, view: GeoImage) -> Sequence[RegionLike]:
    """Parse a box in pixels of the whole image, or the polygons of a vector file.

    Args:
        word: The typed word.
        view: The view the question is about.

    Raises:
        RegionError: It is neither, or the file cannot be read or placed on the image.
    """
    if word.lower().endswith(_VECTOR):
        return layer_shapes(read_vector_layer(_path(word)), view.frame)
    try:
        return [values.region(word)]
    except argparse.ArgumentTypeError as error:
        raise RegionError(f"the region {error}; or name a file ({', '.join(_VECTOR)})") from error


def _typed_image(word: str) -> str:
    """Return an image name as typed, with `~` expanded in a path."""
    return word if is_address(word) else str(_path(word))


def _path(word: str) -> Path:
    """Expand `~` in a path, which no shell has expanded."""
    try:
        return Path(word).expanduser()
    except RuntimeError:  # no such user: a name like any other
        return Path(word)


class _RaisingParser(argparse.ArgumentParser):
    """A parser that raises an error instead of ending the program."""

    def error(self, message: str) -> NoReturn:
        raise PromptError(f"{self.prog}: {message}")
