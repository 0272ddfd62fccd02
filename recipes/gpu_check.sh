#!/usr/bin/env bash
# Checks and times on one GPU what only a GPU shows; no network, minutes:
#   recipes/gpu_check.sh [--output FOLDER] [--cases logprobs update ...]
#   recipes/gpu_check.sh --device cpu --size tiny    # tries the script where there is no GPU
# Exit code 1: a case failed, its reason is below the table; 2: torch finds no GPU.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} HF_HUB_OFFLINE=1
export PYTHONPATH="$PWD/tests:$PWD${PYTHONPATH:+:$PYTHONPATH}"
exec "${PYTHON:-python3}" -m gpu.check "$@"
