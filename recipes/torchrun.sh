#!/usr/bin/env bash
# One machine with several GPUs (or CPU processes with --trainer.accelerator cpu):
#   recipes/torchrun.sh STRATEGY DEVICES [arguments of lit-entropy fit]
#   recipes/torchrun.sh fsdp2 8 --config configs/base.yaml --config configs/experiment/kl_cov.yaml
# STRATEGY is a file of configs/strategy, ddp or fsdp2, or "own" for the one that the configuration
# names, as those of configs/experiment/paper do. Continue a run with --ckpt_path last.
set -euo pipefail
strategy=${1:?"name a strategy first: ddp or fsdp2, or own"}
devices=${2:?"name the number of processes second"}
shift 2
checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
[[ $strategy == own ]] || set -- "$@" --config "$checkout/configs/strategy/$strategy.yaml"

export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
exec torchrun --standalone --nproc-per-node "$devices" --no-python \
  lit-entropy fit "$@" \
  --trainer.num_nodes 1 \
  --trainer.devices "$devices"
