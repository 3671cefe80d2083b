"""`geochat eval`: run benchmarks, score answers, compare runs."""

import argparse

from geochat.cli.commands import Command, add_commands

ACTIONS = (
    Command("list", "geochat_eval.commands.listing", "list the benchmarks"),
    Command("run", "geochat_eval.commands.running", "ask a model the questions of a benchmark"),
    Command("score", "geochat_eval.commands.scoring", "score a file of answers, without a model"),
    Command("report", "geochat_eval.commands.reporting", "write reports of a run, and of others beside it"),
    Command("compare", "geochat_eval.commands.comparing", "compare two runs question by question"),
    Command("card", "geochat_eval.commands.cards", "put the headline figures of several runs into one table"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions."""
    parser.description = "Ask a model the questions of a benchmark, score answers, and compare runs."
    add_commands(parser, ACTIONS, "action")
