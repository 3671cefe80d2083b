"""`geochat data`: build training data from labelled imagery; check, draw, count and index it."""

import argparse

from geochat.cli.commands import Command, add_commands

ACTIONS = (
    Command("build", "geochat_data.commands.build", "make conversations from labels"),
    Command("check", "geochat_data.commands.check", "find errors in a training file"),
    Command("show", "geochat_data.commands.show", "draw samples with their boxes"),
    Command("stats", "geochat_data.commands.stats", "count the contents of a training file"),
    Command("index", "geochat_data.commands.index", "index a training file for random access"),
    Command("scenes", "geochat_data.commands.scenes", "draw synthetic scenes with their labels"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions."""
    parser.description = "Make grounded conversations from labelled imagery, and inspect files of them."
    add_commands(parser, ACTIONS, "action")
