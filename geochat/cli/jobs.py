"""`geochat jobs`: the progress of jobs over many scenes."""

import argparse
from pathlib import Path

from geochat.cli import archives, commands, output

_SILENT = 60  # seconds after which a worker's silence is told


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions."""
    parser.description = "Jobs over many scenes: the --job folders of `geochat find` and `geochat describe`."
    commands.add_commands(parser, ACTIONS, "action")


class Show:
    """`geochat jobs show`."""

    @staticmethod
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.description = (
            "Show the progress of a job: scenes and windows done and failed, windows per second of each worker, and "
            "the remaining time. It reads only the folder, so it works on any machine with access to it. The exit "
            "status is 1 if a scene failed."
        )
        parser.add_argument("folder", metavar="DIR", type=Path, help="the --job folder")
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        parser.add_argument("--report", action="store_true", help="write report.html of what is done so far")

    @staticmethod
    def run(args: argparse.Namespace) -> int:
        """Print progress, and write the report on request."""
        from geochat.archive import ArchiveFolder, job_status
        from geochat.archive.status import write_report

        folder = ArchiveFolder(args.folder)
        status = job_status(folder)
        if args.json:
            output.print_json(status)
        else:
            archives.print_status(status)
            for worker in status["workers"]:
                silent = f", silent for {worker['silent_seconds']} s" if worker["silent_seconds"] >= _SILENT else ""
                rate = f"{worker['windows']} windows, {worker['windows_per_second']:g} per second"
                print(f"  {worker['name']}: {rate}{silent}")
            if status["seconds_left"]:
                print(f"left: {status['left']} scenes, about {archives.duration(status['seconds_left'])}")
            elif status["left"]:
                print(f"left: {status['left']} scenes; nobody is at work on them")
        if args.report:
            output.note(f"wrote {write_report(folder)}")
        return 1 if status["failed"] else 0


ACTIONS = (commands.Command("show", "geochat.cli.jobs:Show", "show how far a job is"),)
"""The actions of `geochat jobs`."""
