"""`geochat data`: build training data from labelled imagery; convert, check, draw, count and index it."""

import argparse

from geochat.cli.commands import Command, add_commands

ACTIONS = (
    Command("build", "geochat_data.commands.build:Build", "build conversations from labels"),
    Command("convert", "geochat_data.commands.convert", "rewrite a training file in another dialect"),
    Command("check", "geochat_data.commands.training_files:Check", "find errors in a training file"),
    Command("show", "geochat_data.commands.training_files:Show", "draw samples with their boxes"),
    Command("stats", "geochat_data.commands.training_files:Stats", "count the contents of a training file"),
    Command("index", "geochat_data.commands.training_files:Index", "index a training file for random access"),
    Command("render", "geochat_data.commands.build:Render", "draw synthetic scenes with their labels"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions."""
    parser.description = "Build grounded conversations from labelled imagery, and inspect files of them."
    add_commands(parser, ACTIONS, "action")
