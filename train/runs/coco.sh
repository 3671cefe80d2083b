#!/usr/bin/env bash
# The walk-through from a COCO file: scenes are drawn, their labels written as COCO instances under names the bundled model
# never says, and it is taught from that file. Put your own file and images in the place of the first step.
set -euo pipefail
out=$(realpath -m "${1:-runs/coco}")
shift $(($# < 1 ? $# : 1))
cd "$(dirname "$0")/../.."

draw() {  # SPLIT COUNT SEED: images and SPLIT.json
  for kind in airport tanks harbour "solar farm"; do
    geochat data render "$out/$1/${kind// /_}" --kind "$kind" --count "$2" --seed "$3"
  done
  python - "$out/$1" <<'PYTHON'
import json, sys
from pathlib import Path

OWN = {"airplane": "fixed-wing aircraft", "storage tank": "fuel reservoir", "ship": "vessel", "car": "road vehicle",
       "solar panel": "photovoltaic module", "building": "roofed structure"}
folder = Path(sys.argv[1])
images, annotations, names = [], [], {}
for labels in sorted(folder.glob("*/boxes.jsonl")):
    for row in map(json.loads, labels.read_text().splitlines()):
        images.append({"id": len(images), "file_name": f"{labels.parent.name}/{row['image']}", "width": 288, "height": 288})
        for thing in row["objects"]:
            category = names.setdefault(OWN[thing["category"]], len(names) + 1)
            corners = [value for corner in thing["polygon"] for value in corner]
            x, y = corners[::2], corners[1::2]
            box = [min(x), min(y), max(x) - min(x), max(y) - min(y)]
            annotations.append({"id": len(annotations), "image_id": images[-1]["id"], "category_id": category,
                                "bbox": box, "area": box[2] * box[3], "segmentation": [corners], "iscrowd": 0})
categories = [{"id": number, "name": name} for name, number in names.items()]
file = folder.with_suffix(".json")
file.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
PYTHON
}
draw train 40 0
draw val 15 100000

build() { geochat data build coco "$out/$1.json" --images "$out/$1" --image-root "$out" --dialogues 0 --out "$out/$1.jsonl" "${@:2}"; }
build train --kinds identify=4,refer=2,count=1 --questions 12
build val --kinds identify --questions 6
geochat train lora --config lora-mini --data "$out/train.jsonl" --validation "$out/val.jsonl" --images "$out" \
  --epochs 12 --evaluate-every 50 --keep-best true --show 8 --out "$out/adapter" "$@"
measure() { python -m geochat_train.measure identify coco "$out/val.json" --images "$out/val" --most 60 "$@"; }
measure --out "$out/before.json"
measure --model "$out/adapter" --out "$out/after.json"
python -m geochat_train.plot "$out/adapter/run/log.jsonl" --before "$out/before.json" --after "$out/after.json" \
  --out "$out/coco.png"
