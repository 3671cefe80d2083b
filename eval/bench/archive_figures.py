"""Figures of archives as tables: workers on Ray beside the local loop, and the process that records.

    python eval/bench/archive_figures.py stub|bundled|driver|many|all [--python PYTHON] [--write FILE]

stub: an engine that computes for a tenth of a second per window, in the local loop and by one and two workers on Ray:
what a second worker brings, and what Ray costs. bundled: the same with the bundled model. driver: the recording process
alone, fed by 64 asynchronous stubs that take a second per window, with few and with many windows per scene. many: the
same process behind Ray, with 8 workers that sleep for an eighth of a second per window, so 64 windows/s at best.

Each takes less than three minutes on two idle cores. PYTHON has Ray (default: the one that runs this). FILE is a page
of docs/benchmarks, in which the section of a figure is replaced, or added.
"""

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

BENCH = Path(__file__).with_name("archive.py")
LIMIT_S = 240  # of a run, which takes a third of it on an idle machine
Measure = Callable[..., Mapping[str, Any]]


def measured(python: str, *words: str) -> Mapping[str, Any]:
    """The figures of `archive.py` with some arguments, in a process with one thread for torch."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [python, str(BENCH), *words, "--json"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=LIMIT_S, check=True)
    except subprocess.CalledProcessError as error:
        raise ChildProcessError(f"{' '.join(command)} failed:\n{error.stderr[-2000:]}") from error
    except subprocess.TimeoutExpired as error:
        raise ChildProcessError(f"{' '.join(command)} took more than {LIMIT_S} s") from error
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def workers(measure: Measure, engine: str, scenes: int) -> list[str]:
    """The local loop, and one and two workers on Ray."""
    words = ("--engine", engine, "--scenes", str(scenes))
    alone = measure("local", *words)
    one, two = (measure("ray", *words, "--workers", str(count)) for count in (1, 2))
    rows = [("local loop", alone), ("Ray, 1 worker", one), ("Ray, 2 workers", two)]
    rate = {name: each["windows_per_s"] for name, each in rows}
    gain, added = (
        two["windows_per_s"] / one["windows_per_s"],
        1000 / one["windows_per_s"] - 1000 / alone["windows_per_s"],
    )
    return [
        "| | windows/s | first answer, Ray running | processor time of the recording process |",
        "|---|---|---|---|",
        *(
            f"| {name} | {rate[name]:.2f} | {each['first_after_s']:.1f} s | "
            f"{1000 * each['own_cpu_s'] / each['windows']:.1f} ms per window{', model included' * (each is alone)} |"
            for name, each in rows
        ),
        "",
        f"{alone['windows']} windows, nine per scene. A second worker: {gain:.2f} times one. Ray over the local loop: "
        f"{added:+.1f} ms per window ({added * alone['windows_per_s'] / 10:+.1f} %).",
    ]


def driver(measure: Measure) -> list[str]:
    """The recording process alone."""
    lines = [
        "| windows per scene | windows/s of 64 at most | times one worker at 1 s per window | processor time |",
        "|---|---|---|---|",
    ]
    for side, scenes in ((768, 180), (2048, 24)):
        found = measure("driver", "--side", str(side), "--scenes", str(scenes), "--seconds", "20")
        lines.append(
            f"| {(side // 256) ** 2} | {found['windows_per_s']:.1f} | {found['windows_per_s']:.0f} | "
            f"{found['cpu_ms_a_window']:.1f} ms per window |"
        )
    return lines


def many(measure: Measure) -> list[str]:
    """Eight workers on Ray that sleep."""
    words = ("--engine", "waiting", "--wait", "0.125", "--side", "2048", "--scenes", "40", "--workers", "8")
    found = measure("ray", *words)
    cpu = 1000 * found["own_cpu_s"] / found["windows"]
    return [
        f"{found['windows']} windows, 64 per scene: {found['windows_per_s']:.1f} windows/s of 64 at most; "
        f"{cpu:.1f} ms of processor time of the recording process per window, Ray Data included; first answer after "
        f"{found['first_after_s']:.0f} s.",
    ]


FIGURES: dict[str, tuple[str, Callable[[Measure], list[str]]]] = {
    "stub": ("Archives: workers with a stub of 0.1 s per window", partial(workers, engine="busy", scenes=40)),
    "bundled": ("Archives: workers with the bundled model", partial(workers, engine="bundled", scenes=30)),
    "driver": ("Archives: the recording process, fed by 64 stubs of a second per window", driver),
    "many": ("Archives: 8 workers on Ray that sleep 0.125 s per window", many),
}


def section(title: str, name: str, lines: list[str], load: tuple[float, float, float]) -> str:
    """The section of a figure on a page of benchmarks."""
    git = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False, cwd=BENCH.parent).stdout.strip()
    busy = ", ".join(f"{each:.1f}" for each in load)
    told = f"*Commit {commit or 'unknown'}, {datetime.now(UTC):%Y-%m-%d}; {os.cpu_count()} cores, load {busy} before.*"
    command = f"```\npython eval/bench/{Path(__file__).name} {name}\n```"
    return "\n".join([f"## {title}", told, "", command, *lines, ""])


def replaced(page: str, title: str, text: str) -> str:
    """A page with the section of a title replaced, or added at the end."""
    pattern = re.compile(rf"^## {re.escape(title)}\n.*?(?=^## |\Z)", re.DOTALL | re.MULTILINE)
    if pattern.search(page):
        return pattern.sub(lambda found: text + "\n" * (found.end() < len(page)), page)
    return f"{page.rstrip()}\n\n{text}"


def main() -> int:
    """Measure, print, and write; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figure", choices=(*FIGURES, "all"))
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--write", metavar="FILE", type=Path)
    args = parser.parse_args()
    failed = False
    for name in FIGURES if args.figure == "all" else (args.figure,):
        title, figure = FIGURES[name]
        load = os.getloadavg()
        try:
            text = section(title, name, figure(partial(measured, args.python)), load)
        except ChildProcessError as error:
            failed = True
            print(f"## {title}\nnot measured: {error}\n", flush=True)
            continue
        print(text, flush=True)
        if args.write is not None:
            args.write.write_text(replaced(args.write.read_text(encoding="utf-8"), title, text), encoding="utf-8")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
