"""The table of commands, and parsers whose arguments are declared when their command is selected.

The table holds names, so that `geochat --help` imports no command, and the core knows the outer packages' commands
without importing them.
"""

import argparse
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NamedTuple, Protocol


class Runnable(Protocol):
    """The object behind a command: a module, or an instance, with these functions.

    A group of actions has `add_arguments` alone, which calls `add_commands`.
    """

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Set the description and declare the arguments."""

    def run(self, args: argparse.Namespace) -> int:
        """Run the command; returns the exit status."""


class Command(NamedTuple):
    """A row of a table of commands.

    Attributes:
        name: The word that chooses it.
        target: Its `Runnable`, as "module" or "module:attribute"; imported when the command is chosen.
        help: Its line in the list of commands.
    """

    name: str
    target: str
    help: str


COMMANDS = (
    Command("demo", "geochat.cli.demo", "show what the model does, on sample scenes"),
    Command("ask", "geochat.cli.ask", "ask a question about images"),
    Command("chat", "geochat.cli.chat", "hold a conversation about an image"),
    Command("find", "geochat.cli.find", "find objects in a whole scene, as a layer"),
    Command("count", "geochat.cli.count", "count objects in a whole scene"),
    Command("review", "geochat.cli.review", "review found objects by eye, for precision and recall"),
    Command("describe", "geochat.cli.describe", "describe a scene, as a whole or window by window"),
    Command("jobs", "geochat.cli.jobs", "show the progress of a job over many scenes"),
    Command("serve", "geochat_serve.command", "open the web chat"),
    Command("info", "geochat.cli.info", "describe a model"),
    Command("verify", "geochat.cli.verify", "check a model after a download, a conversion or fine-tuning"),
    Command("convert", "geochat.cli.convert", "rewrite a model in the native layout"),
    Command("merge", "geochat.cli.merge", "merge an adapter into its base"),
    Command("data", "geochat_data.commands", "build and inspect training data"),
    Command("train", "geochat_train.commands", "train a model on your imagery"),
    Command("eval", "geochat_eval.commands", "measure models on benchmarks"),
    Command("clip", "geochat.cli.clip", "classify scenes with a dual encoder"),
    Command("engines", "geochat.cli.engines", "list engines and running vLLM servers, or stop them"),
    Command("doctor", "geochat.cli.doctor", "check the installation, or the folder of a model"),
)


def add_commands(parser: argparse.ArgumentParser, commands: Sequence[Command], word: str = "command") -> None:
    """Declare commands, or the actions of one.

    Args:
        parser: The parser of the program, or of the command.
        commands: Rows in the order of the list in its help.
        word: The word for one of them in the help.
    """
    chosen = parser.add_subparsers(title=f"{word}s", metavar=word.upper(), required=True, parser_class=_LateParser)
    for command in commands:
        chosen.add_parser(command.name, help=command.help).target = command.target


class _LateParser(argparse.ArgumentParser):
    """A parser that imports its command, which declares the arguments, when there is something to parse."""

    target: str | None = None

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:  # noqa: ANN401 - overloaded in argparse
        if self.target is not None:
            self._declare(self.target)
            self.target = None
        return super().parse_known_args(args, namespace)

    def _declare(self, target: str) -> None:
        module, _, attribute = target.partition(":")
        command: Any = import_module(module)
        if attribute:
            command = getattr(command, attribute)
        command.add_arguments(self)
        self.add_argument(
            "--debug",
            action="store_true",
            default=argparse.SUPPRESS,
            help="show warnings and, on an error, the traceback",
        )
        if hasattr(command, "run"):
            self.set_defaults(run=command.run)
