#!/usr/bin/env bash
# Builds sdist and wheel, installs the wheel into an environment of its own and trains one RL step
# there, outside of the checkout. Dependencies come from the environment of `python`.
set -euo pipefail
checkout="$(cd "$(dirname "$0")/../.." && pwd)"

workspace="$(mktemp -d)"
trap 'rm -rf -- "$workspace"' EXIT
unset PYTHONPATH
export PIP_DISABLE_PIP_VERSION_CHECK=1

cd "$checkout"
python - "$workspace" <<'PYTHON'
import contextlib
import os
import sys

from setuptools.build_meta import build_sdist

with open(os.devnull, "w") as quiet, contextlib.redirect_stdout(quiet):
    build_sdist(sys.argv[1])
PYTHON
cd "$workspace"
python -m pip wheel --quiet --no-deps --no-build-isolation ./*.tar.gz
du -b ./*.tar.gz ./*.whl

# the wheel comes before the borrowed dependencies; their own .pth files (editable installs) stay out
python -m venv --without-pip wheel
site=("$workspace"/wheel/lib/python*/site-packages)
python -m pip --python wheel/bin/python install --quiet --no-deps ./*.whl
python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > "${site[0]}/dependencies.pth"

mkdir outside
cd outside
bin="$workspace/wheel/bin"
"$bin/python" - "${site[0]}" <<'PYTHON'
import sys
from pathlib import Path

import lit_entropy
from lit_entropy.shipped import configs_folder

assert Path(lit_entropy.__file__).is_relative_to(sys.argv[1]), lit_entropy.__file__
assert configs_folder().is_relative_to(sys.argv[1]), configs_folder()
PYTHON
"$bin/lit-entropy" fit --config quickstart --print_config > printed.yaml
grep -q "class_path: lit_entropy.losses.PPOClip" printed.yaml
"$bin/lit-entropy" fit --config base --config experiment/kl_cov --run.name kl_cov --run.wandb off \
    --data.prompts_per_step 4 --data.group_size 2 --data.minibatch_size 8 \
    --data.task.validation_size 10 --model.max_new_tokens 8 \
    --trainer.max_epochs 1 --trainer.accelerator cpu --trainer.callbacks null
grep -q "class_path: lit_entropy.losses.KLCov" runs/kl_cov/config.yaml
test "$(wc -l < runs/kl_cov/metrics.csv)" -ge 2
echo "the wheel finds its configurations and trains outside of the checkout"
