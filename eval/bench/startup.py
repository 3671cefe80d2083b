"""Start-up time and memory of commands.

    python eval/bench/startup.py [--runs N] [--json]

Each command runs in a new process, N times after one warm-up run; the figures are whole-process wall seconds (median
and spread) and the peak resident memory of the largest run.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.resources import files
from pathlib import Path

SCENE = Path(str(files("geochat") / "samples"))


def commands(folder: Path) -> dict[str, list[str]]:
    """Return the measured commands by name."""
    scene = str(next(SCENE.glob("*.tif")))
    geochat = [sys.executable, "-m", "geochat"]
    return {
        "python -c pass": [sys.executable, "-c", "pass"],
        "import geochat": [sys.executable, "-c", "import geochat"],
        "geochat --help": [*geochat, "--help"],
        "geochat ask (VQA)": [*geochat, "ask", scene, "Is there an airplane in the image?", "--task", "vqa"],
        "geochat ask ([grounding], overlay)": [
            *[*geochat, "ask", scene, "", "--task", "grounding"],
            *["--overlay", str(folder / "overlay.png"), "--geojson", str(folder / "answer.geojson")],
        ],
    }


def measure(command: list[str], runs: int) -> dict[str, float]:
    """Measure seconds and memory of `command` over `runs` runs."""
    subprocess.run(command, check=True, capture_output=True)
    seconds, peak = [], 0
    for _ in range(runs):
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, status, usage = _wait(process)
        seconds.append(time.perf_counter() - start)
        peak = max(peak, usage.ru_maxrss)
        if status:
            raise SystemExit(f"{command} ended with status {status}")
    return {
        "median_s": round(statistics.median(seconds), 3),
        "min_s": round(min(seconds), 3),
        "max_s": round(max(seconds), 3),
        "peak_mib": round(peak / 1024),
    }


def _wait(process: subprocess.Popen[bytes]) -> tuple[int, int, resource.struct_rusage]:
    pid, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return pid, process.returncode, usage


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = {name: measure(command, args.runs) for name, command in commands(Path(folder)).items()}
    if args.json:
        print(json.dumps(figures, indent=2))
        return
    for name, row in figures.items():
        print(f"{name:36} {row['median_s']:7.2f} s  ({row['min_s']:.2f}-{row['max_s']:.2f})  {row['peak_mib']:6} MiB")


if __name__ == "__main__":
    main()
