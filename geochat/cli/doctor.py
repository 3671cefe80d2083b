"""`geochat doctor`: is everything in place, and is a model's folder safe?"""

import argparse
from typing import Any

from geochat.cli.checks import all_checks

_VERDICTS = {"refused": "FAIL", "ignored": "LEFT", "note": "note"}


def add_parser(commands: Any) -> argparse.ArgumentParser:  # noqa: ANN401 - argparse keeps its type private
    """Declare the command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "doctor",
        help="check the installation, or a model's folder",
        description="Check versions, device, memory, file formats, write access and the bundled model. "
        "Exit status 1 when something does not work. With --security, check a model's folder instead.",
    )
    parser.add_argument(
        "--security",
        metavar="MODEL",
        help="look through a checkpoint directory, or a hub id in the local cache, without loading it: code, pickles, "
        "chat templates, references to the hub, quantised weights, links. FAIL: loading refuses it; LEFT: it would not "
        "be loaded or run, and the rest is; note: harmless. Exit status 1 with any of the first two",
    )
    return parser


def run(args: argparse.Namespace) -> int:
    """Run every check, even after one has failed."""
    if args.security is not None:
        return _audit(args.security)
    well = True
    for name, check in all_checks():
        try:
            verdict, detail = "ok", check()
        except Exception as error:  # a check that breaks in any way is a finding
            well, verdict, detail = False, "FAIL", " ".join(f"{error or type(error).__name__}".split())
        print(f"{verdict:<5}{name:<14}{detail}")
    return 0 if well else 1


def _audit(model: str) -> int:
    """Print what is found in a model's folder."""
    from geochat.checkpoints.auditing import audit

    findings = audit(model)
    for finding in findings:
        text = " ".join(f"{finding.file}: {finding.text}".split())
        legible = "".join(
            letter if letter.isprintable() else "?" for letter in text
        )  # names of files may steer terminals
        print(f"{_VERDICTS[finding.verdict]:<5}{legible}")
    left = sum(finding.verdict != "note" for finding in findings)
    print(f"{model}: {left} of its parts would not be loaded" if left else f"{model}: nothing that would not be loaded")
    return 1 if left else 0
