"""`geochat eval`: run benchmarks, score answers, compare runs."""

import argparse

from geochat.cli.commands import Command, add_commands

ACTIONS = (
    Command("list", "geochat_eval.commands.list", "list the benchmarks"),
    Command("run", "geochat_eval.commands.run", "ask a model the questions of a benchmark"),
    Command("score", "geochat_eval.commands.score", "score a file of answers, without a model"),
    Command("report", "geochat_eval.commands.report", "write reports of a run, and of others beside it"),
    Command("compare", "geochat_eval.commands.compare", "compare two runs question by question"),
    Command("card", "geochat_eval.commands.card", "put the headline figures of several runs into one table"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions."""
    parser.description = "Ask a model the questions of a benchmark, score answers, and compare runs."
    add_commands(parser, ACTIONS, "action")
