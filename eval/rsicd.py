"""The files of `rsicd.sh`: the test captions as RSICD publishes them, and the answers of a canned baseline.

    python eval/rsicd.py PHOTOGRAPHS OUT [MODEL]

PHOTOGRAPHS is a folder with `captions.jsonl` (`image`, `split`, `scene`, `captions`). A canned answer is the most
frequent training caption of the scene class that the model names.
"""

import json
import sys
from collections import Counter, defaultdict
from pathlib import Path

from geochat import GeoChat, Question
from geochat.errors import GeoChatError
from geochat.prompts import Task
from geochat_data.readers import Report
from geochat_data.readers.json_files import read_jsonl


def main(photographs: Path, out: Path, model: str | None = None) -> None:
    """Write `dataset_rsicd.json`, and `canned.jsonl` unless it exists."""
    rows = [row for _, row in read_jsonl(photographs / "captions.jsonl", Report())]
    test = [row for row in rows if row["split"] == "test"]
    images = [
        {"filename": row["image"], "imgid": number, "split": "test", "sentences": [{"raw": c} for c in row["captions"]]}
        for number, row in enumerate(test)
    ]
    (out / "dataset_rsicd.json").write_text(json.dumps({"dataset": "rsicd", "images": images}), encoding="utf-8")
    path = out / "canned.jsonl"
    if path.exists():
        return
    captions: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        if row["split"] == "train":
            captions[row["scene"]].update(row["captions"])
    question = Question("", task=Task.SCENE, choices=tuple(sorted(captions)))
    chat = GeoChat.from_pretrained(model)
    named = dict(chat.ask_each((photographs / row["image"], question) for row in test))
    with path.open("w", encoding="utf-8") as file:
        for number in range(len(test)):
            answer = named[number]
            if isinstance(answer, GeoChatError):
                raise answer
            caption = captions[str(answer.choice)].most_common(1)[0][0]
            file.write(json.dumps({"question_id": str(number), "answer": caption}) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else None)
