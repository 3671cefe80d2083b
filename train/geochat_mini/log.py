"""Collect the log of a run: `python -m geochat_mini.log RUN > train/logs/mini.jsonl`.

One JSON object per line, from the `Trainer`'s own record of each stage: stage, step, loss, learning rate.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

STAGES = ("perceive", "instruct", "encode")


def entries(run: Path) -> Iterator[dict[str, Any]]:
    """Yield the logged rows of each stage, in order."""
    for stage in (name for name in STAGES if (run / name).is_dir()):
        last = max((run / stage).glob("checkpoint-*"), key=lambda folder: int(folder.name.split("-")[1]))
        state = json.loads((last / "trainer_state.json").read_text(encoding="utf-8"))
        for row in state["log_history"]:
            if "loss" in row:
                yield {
                    "stage": stage,
                    "step": row["step"],
                    "loss": round(float(row["loss"]), 4),
                    "learning_rate": float(row["learning_rate"]),
                }


if __name__ == "__main__":
    sys.stdout.writelines(json.dumps(entry) + "\n" for entry in entries(Path(sys.argv[1])))
