#!/usr/bin/env bash
# Measures a model for its card, and puts the headline figures into one table.
#
#     eval/card.sh IMAGERY OUT [MODEL]
#     SPLIT=val eval/card.sh IMAGERY OUT MODEL     # for choices; the test split is run once, for a candidate that may ship
#
# IMAGERY holds ucm/ and, for figures that are only reported, evaluation-only/. Whatever was done is not done again, so a run that
# was stopped is started again with the same words. A folder RUN.NAME stands beside RUN in the table.
set -euo pipefail
imagery=$1 out=$2 split=${SPLIT:-test} scenes=${SCENES:-500}
model=(${3:+--model "$3"})

ask() { # RUN BENCH OPTIONS...: unless it is finished
    local run=$out/$1 bench=$2
    shift 2
    [ -f "$run/report.json" ] || geochat eval run "$bench" --out "$run" --split "$split" "$@"
}

mkdir -p "$out"

# UC Merced
SPLIT=$split "$(dirname "$0")/scenes.sh" "$imagery" "$out" ${3:+"$3"} > "$out/scenes-compared.txt"
ask captions ucm-captions --images "$imagery/ucm" "${model[@]}"
ask captions.majority_caption ucm-captions --images "$imagery/ucm" --majority-caption "$out/scenes"
for bench in refer refer-absent identify presence comparison count describe; do
    ask "ucm-$bench" "$bench" --images "$imagery/ucm" "${model[@]}"
done
ask ucm-refer.blind refer --images "$imagery/ucm" --blind "${model[@]}"
ask ucm-presence.blind presence --images "$imagery/ucm" --blind "${model[@]}"
ask ucm-comparison.blind comparison --images "$imagery/ucm" --blind "${model[@]}"
ask ucm-count.blind count --images "$imagery/ucm" --blind "${model[@]}"

# Synthetic scenes that no training has drawn
for bench in refer refer-absent identify presence comparison count describe; do
    ask "$bench" "$bench" --scenes "$scenes" "${model[@]}"
done
for bench in identify presence comparison count; do
    ask "$bench.blind" "$bench" --scenes "$scenes" --blind "${model[@]}"
done
ask refer.held-out-words refer --scenes "$scenes" --wording held-out "${model[@]}"

# Sources that may only be measured on
for source in dota planes; do
    boxes=$imagery/evaluation-only/$source/boxes.jsonl
    [ ! -f "$boxes" ] || ask "$source-refer" refer --questions "$boxes" "${model[@]}"
done

# What a second look gives, where the model takes one
asked=${3:-$(dirname "$0")/../geochat/models/mini}
if grep -qs '"second_look": true' "$asked/geochat.json"; then
    once=$(mktemp -d)
    trap 'rm -rf "$once"' EXIT
    cp -r "$asked/." "$once"
    sed -i 's/"second_look": true/"second_look": false/' "$once/geochat.json"
    ask ucm-refer.one-look refer --images "$imagery/ucm" --model "$once"
    ask refer.one-look refer --scenes "$scenes" --model "$once"
fi

runs=()
for run in "$out"/*/; do
    case $(basename "$run") in *.*) ;; *) runs+=("${run%/}") ;; esac
done
geochat eval card "${runs[@]}" > "$out/card.md"
echo "wrote $out/card.md"
