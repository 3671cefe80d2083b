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
side=128
build() { geochat data build "$@" --dialogues 0; }
windows() { build boxes "$imagery/hit-uav" --around "$side" --image-root "$out/images" --kinds identify "$@"; }
some() { # FILE COUNT: the lines of so many of its images
  grep -o '"image": "[^"]*"' "$1" | sort -u | shuf --random-source=<(yes) -n "$2" | grep -Ff - "$1"
}

# A window around each object, since an object of a few pixels is less than a patch once the whole frame has shrunk to the
# model's size. What is rare comes again, turned and in other colours; scenes and captions of UC Merced keep alive what the
# model knew.
for kind in person car; do
  windows --split train --holding "$kind" --questions 4 --out "$out/$kind.jsonl"
done
windows --split train --holding bicycle --views 2 --seed 1 --questions 4 --out "$out/bicycle.jsonl"
windows --split train --holding "other vehicle" --views 60 --seed 2 --questions 4 --out "$out/other.jsonl"
build ucm "$imagery/ucm" --split train --image-root "$imagery" --kinds scene=3,caption=1 --questions 2 --out "$out/ucm.jsonl"
ln -sfn "$imagery/ucm" "$out/images/ucm"
some "$out/ucm.jsonl" 1000 | grep -vFf <(grep -v "^#" data/geochat_data/splits/ucm_overlap.txt) \
  > "$out/known.jsonl"  # none that shows ground of test images
cat <(some "$out/person.jsonl" 1000) <(some "$out/car.jsonl" 1000) "$out"/{bicycle,other,known}.jsonl > "$out/train.jsonl"
windows --split val --questions 1 --out "$out/val.jsonl"

geochat train lora --config lora-mini --data "$out/train.jsonl" --validation "$out/val.jsonl" --images "$out/images" \
  --epochs 1.4 --evaluate-every 250 --show 8 --out "$out/adapter" "$@"

measure() { python -m geochat_train.measure "$@"; }
identify() { measure identify boxes "$imagery/hit-uav" --around "$side" "$@"; }
identify --split val --model "$out/adapter" --out "$out/identify_val.json"
if [ "${TEST:-0}" = 1 ]; then  # once, for a candidate
  identify --split test --out "$out/identify_before.json"
  identify --split test --model "$out/adapter" --out "$out/identify_after.json"
  measure scene ucm "$imagery/ucm" --split test --out "$out/scene_before.json"
  measure scene ucm "$imagery/ucm" --split test --model "$out/adapter" --out "$out/scene_after.json"
  python -m geochat_train.plot "$out/adapter/run/log.jsonl" --out "$out/hit_uav.png" \
    --before "$out/identify_before.json" "$out/scene_before.json" \
    --after "$out/identify_after.json" "$out/scene_after.json"
fi
