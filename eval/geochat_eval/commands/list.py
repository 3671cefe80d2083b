"""`geochat eval list`: the benchmarks and the files they read."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = "Name the benchmarks, what each measures and what it reads."
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")


def run(args: argparse.Namespace) -> int:
    """Print the benchmarks."""
    from geochat.cli.output import note, print_json
    from geochat.errors import SettingsError
    from geochat_eval.registry import BENCHMARKS

    benchmarks = []
    for name in BENCHMARKS:
        try:
            benchmarks.append(BENCHMARKS[name])
        except SettingsError as error:  # an installed package that cannot be imported
            note(str(error))

    if args.json:
        print_json(
            {
                each.name: {
                    "measures": each.summary,
                    "reads": each.files,
                    "scored_as": each.scorer,
                    "max_new_tokens": each.max_new_tokens,
                    "published": {k: dict(v) for k, v in each.published.items()},
                }
                for each in benchmarks
            }
        )
        return 0
    width = max(len(each.name) for each in benchmarks)
    for each in benchmarks:
        print(f"{each.name:<{width}}  {each.summary}; scored as {each.scorer}\n{'':<{width}}  {each.files}")
    return 0
