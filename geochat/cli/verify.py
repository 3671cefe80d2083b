"""`geochat verify`: check a model on this machine."""

import argparse

from geochat.cli import options, output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = (
        "Load a model and check prompts, regions, repeated and batched answers, boxes on the bundled scenes, speed and "
        "memory. Each line begins with ok, look (judge it yourself) or FAIL. Exit status 1 when a check fails."
    )
    parser.add_argument("checked", metavar="MODEL", nargs="?", help=options.MODEL_HELP)
    options.add_model_options(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")


def run(args: argparse.Namespace) -> int:
    """Run every check and print its finding."""
    import dataclasses

    from geochat.verification import verify

    args.model = args.checked or args.model
    findings = []
    for finding in verify(lambda: options.load_model(args)):
        findings.append(finding)
        if not args.json:
            print(f"{finding.verdict:<5}{finding.name:<12}{finding.detail}", flush=True)
    failed = any(finding.verdict == "FAIL" for finding in findings)
    if args.json:
        output.print_json({"ok": not failed, "findings": [dataclasses.asdict(finding) for finding in findings]})
    return 1 if failed else 0
