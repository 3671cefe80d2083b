"""`geochat verify`: does a model do here what its settings say?"""

import argparse
from typing import Any

from geochat.cli import options


def add_parser(commands: Any) -> argparse.ArgumentParser:  # noqa: ANN401 - argparse keeps its type private
    """Declare the command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "verify",
        help="check a model that was just fetched, converted or tuned",
        description="Load a model and check it: prompts, regions, repeated and batched answers, boxes on the bundled "
        "scenes, speed and memory. Each line says ok, look (a person should judge) or FAIL. Exit status 1 when "
        "something fails.",
    )
    parser.add_argument(
        "checked", metavar="MODEL", nargs="?", help="checkpoint directory or hub id (default: the bundled model)"
    )
    options.add_model_options(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    return parser


def run(args: argparse.Namespace) -> int:
    """Run every check and print each finding as it comes."""
    import dataclasses

    from geochat.assistant.verification import verify
    from geochat.cli import output

    args.model = args.checked or args.model
    findings = []
    for finding in verify(lambda: output.load(args)):
        findings.append(finding)
        if not args.json:
            print(f"{finding.verdict:<5}{finding.name:<12}{finding.detail}", flush=True)
    failed = any(finding.verdict == "FAIL" for finding in findings)
    if args.json:
        output.print_json({"ok": not failed, "findings": [dataclasses.asdict(finding) for finding in findings]})
    return 1 if failed else 0
