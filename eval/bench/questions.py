"""Recognition of questions as people type them: `python eval/bench/questions.py`.

Counts the questions of `tests/fixtures/questions` that are recognised as the kind, and about the object, that their
writers meant. No model is run.
"""

import sys
from collections import Counter
from pathlib import Path

from geochat.models import bundled_path, read_settings
from geochat.prompts.recognition import recognise
from geochat.prompts.vocabulary import OutOfScope, Vocabulary
from geochat_data.readers import Report
from geochat_data.readers.json_files import read_jsonl

QUESTIONS = Path(__file__).parents[2] / "tests/fixtures/questions"


def main() -> None:
    """Print the recognised share of each kind."""
    settings = read_settings(bundled_path())
    vocabulary = Vocabulary(settings.categories, settings.scene_classes, settings.tasks)
    for path in sorted(QUESTIONS.glob("*.jsonl")):
        right: Counter[str] = Counter()
        asked: Counter[str] = Counter()
        for _, row in read_jsonl(path, Report()):
            found = recognise(row["text"], vocabulary)
            kind, category = ("unanswerable", "") if isinstance(found, OutOfScope) else (found.kind, found.category)
            asked[row["intent"]] += 1
            right[row["intent"]] += kind == row["intent"] and category in {"", row.get("category")}
        scope = [kind for kind in asked if kind != "unanswerable"]
        shown = [(kind, right[kind], asked[kind]) for kind in sorted(asked)]
        shown.append(("within the scope", sum(right[kind] for kind in scope), sum(asked[kind] for kind in scope)))
        for kind, good, count in shown:
            sys.stdout.write(f"{path.stem:5} {kind:17} {good:4} of {count:4}, {100 * good / count:5.1f} %\n")


if __name__ == "__main__":
    main()
