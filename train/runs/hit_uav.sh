#!/usr/bin/env bash
# Teaches the bundled model thermal drone images it never saw (HIT-UAV, Suo et al. 2023), and measures what it gained and
# what it lost: [identify] on HIT-UAV, scenes on UC Merced. Minutes on a 2-core machine; stopped at any moment, it resumes.
# Learns on train, chooses on val, and asks test once, for the bundled model and for the result.
# Further arguments go to `geochat train`, such as --epochs 4.
set -euo pipefail
imagery=$(realpath "${1:?usage: train/runs/hit_uav.sh IMAGERY [OUT] [SETTINGS]}")
out=$(realpath -m "${2:-runs/hit_uav}")
shift $(($# < 2 ? $# : 2))
cd "$(dirname "$0")/../.."
mkdir -p "$out"
tile=256
build() { geochat data build "$@" --dialogues 0; }
windows() { build boxes "$imagery/hit-uav" --tile "$tile" --image-root "$out/images" "$@"; }

# Windows, since an object of a few pixels is less than a patch once the whole frame has shrunk to the model's size. Objects
# named in their boxes; windows with what is rare again, turned and in other colours; scenes and captions of UC Merced keep
# alive what the model knew.
windows --split train --holding "person,car,bicycle,other vehicle" --kinds identify=6,presence=1,count=1 --questions 5 \
  --out "$out/all.jsonl"
windows --split train --holding bicycle --views 4 --seed 1 --kinds identify --questions 6 --out "$out/bicycles.jsonl"
windows --split train --holding "other vehicle" --views 40 --seed 2 --kinds identify --questions 6 --out "$out/others.jsonl"
build ucm "$imagery/ucm" --split train --image-root "$imagery" --kinds scene=3,caption=1 --questions 2 \
  --out "$out/known_all.jsonl"
ln -sfn "$imagery/ucm" "$out/images/ucm"
image_of='"image": "[^"]*"'
grep -o "$image_of" "$out/known_all.jsonl" | sort -u | shuf --random-source=<(yes) -n 400 > "$out/known_images.txt"
grep -Ff "$out/known_images.txt" "$out/known_all.jsonl" | grep -vFf <(grep -v "^#" data/geochat_data/splits/ucm_overlap.txt) \
  > "$out/known.jsonl"  # 400 images, none that shows ground of test images
cat "$out"/{all,bicycles,others,known}.jsonl > "$out/train.jsonl"
windows --split val --kinds identify --questions 4 --out "$out/val.jsonl"

geochat train lora --config lora-mini --data "$out/train.jsonl" --validation "$out/val.jsonl" --images "$out/images" \
  --epochs 1.5 --evaluate-every 120 --keep-best true --show 8 --out "$out/adapter" "$@"

measure() { python -m geochat_train.measuring "$@"; }
identify() { measure identify boxes "$imagery/hit-uav" --tile "$tile" "$@"; }
identify --split val --model "$out/adapter" --out "$out/identify_val.json"
if [ "${TEST:-0}" = 1 ]; then  # once, for a candidate
  identify --split test --out "$out/identify_before.json"
  identify --split test --model "$out/adapter" --out "$out/identify_after.json"
  measure scene ucm "$imagery/ucm" --split test --out "$out/scene_before.json"
  measure scene ucm "$imagery/ucm" --split test --model "$out/adapter" --out "$out/scene_after.json"
  python -m geochat_train.plotting "$out/adapter/run/log.jsonl" --out "$out/hit_uav.png" \
    --before "$out/identify_before.json" "$out/scene_before.json" \
    --after "$out/identify_after.json" "$out/scene_after.json"
fi
