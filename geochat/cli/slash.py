"""The commands of a conversation: lines that begin with a slash."""

import shlex
from collections.abc import Callable, Sequence
from typing import NamedTuple

from geochat.cli import arguments, options, transcript
from geochat.cli.reporting import note
from geochat.cli.talk import Talk
from geochat.errors import PromptError


def obey(talk: Talk, line: str) -> bool:
    """Carry out a command.

    Args:
        talk: What it acts on.
        line: The command and its arguments, as in a shell: blanks in a file's name are quoted.

    Returns:
        Whether the conversation goes on.

    Raises:
        GeoChatError: There is no such command, or it cannot be carried out; `talk` is as it was before.
    """
    try:
        name, *words = shlex.split(line)
    except ValueError as error:
        raise PromptError(f"{line!r} cannot be read: {error}; quote names with blanks or quotation marks") from error
    command = _COMMANDS.get(name)
    if command is None:
        raise PromptError(f"there is no command {name!r}; /help lists what there is")
    if not command.least <= len(words) <= command.most:
        raise PromptError(f"{name} takes {command.arguments or 'nothing after it'}, not {' '.join(words) or 'nothing'}")
    if command.run is None:
        return False
    command.run(talk, words)
    return True


def _region(talk: Talk, words: Sequence[str]) -> None:
    talk.ask_about([region for word in words for region in arguments.regions(word, talk.conversation.image)])


def _task(talk: Talk, words: Sequence[str]) -> None:
    if words[0] not in options.TASKS:
        raise PromptError(f"there is no task {words[0]!r}; choose from {', '.join(options.TASKS)}")
    talk.task = words[0]


def _image(talk: Talk, words: Sequence[str]) -> None:
    talk.look_at(arguments.image(words))
    note(talk.view)


def _save(talk: Talk, words: Sequence[str]) -> None:
    note(f"wrote {transcript.save(talk.conversation.history, arguments.path(words[0]))}")


def _history(talk: Talk, _words: Sequence[str]) -> None:
    print(transcript.as_text(talk.conversation.history))


def _clear(talk: Talk, _words: Sequence[str]) -> None:
    talk.forget()


def _help(_talk: Talk, _words: Sequence[str]) -> None:
    for name, command in _COMMANDS.items():
        print(f"{name} {command.arguments}".ljust(37), command.help)


class _Command(NamedTuple):
    """What may stand after a command, how many words, what it does, and how; None leaves."""

    arguments: str
    least: int
    most: int
    help: str
    run: Callable[[Talk, Sequence[str]], None] | None = None


_COMMANDS = {
    "/region": _Command("[BOX | FILE]...", 0, 99, "ask about x1,y1,x2,y2[,θ] or polygons; alone, about all", _region),
    "/task": _Command("NAME", 1, 1, f"kind of question: {', '.join(options.TASKS)}", _task),
    "/image": _Command("FILE [--window W] [--bands B]", 1, 99, "talk about another image", _image),
    "/save": _Command("FILE", 1, 1, f"write {transcript.KINDS}", _save),
    "/history": _Command("", 0, 0, "show the conversation", _history),
    "/clear": _Command("", 0, 0, "forget the conversation so far", _clear),
    "/help": _Command("", 0, 0, "show this", _help),
    "/quit": _Command("", 0, 0, "leave; so does Ctrl-D"),
}
