"""`geochat train`: fine-tune a model, train a dual encoder, learn prompts."""

import argparse

from geochat.cli.commands import Command, add_commands

ACTIONS = (
    Command("lora", "geochat_train.commands.tuning:LORA", "low-rank adapters on frozen weights"),
    Command("qlora", "geochat_train.commands.tuning:QLORA", "low-rank adapters on a 4-bit model"),
    Command("full", "geochat_train.commands.tuning:FULL", "all weights"),
    Command("projector", "geochat_train.commands.tuning:PROJECTOR", "the projector alone"),
    Command("grpo", "geochat_train.commands.tuning:GRPO", "reinforcement by rewards of sampled answers"),
    Command("clip", "geochat_train.commands.clip", "a dual encoder on captioned images"),
    Command("coop", "geochat_train.commands.prompts:COOP", "learn a dual encoder's prompts from a few images (CoOp)"),
    Command("cocoop", "geochat_train.commands.prompts:COCOOP", "learn prompts that depend on the image (CoCoOp)"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the methods."""
    parser.description = "Train a model; `geochat train METHOD --help` lists the settings of each method."
    add_commands(parser, ACTIONS, "method")
