"""Wrong inputs of every kind: the words of a command, and what its last line must hold.

``Q`` stands for a fit of the quickstart, ``V`` for its validation, ``P`` for its plan. Where
nothing follows ``|`` the last line holds the last key of the command. ``LONG`` is a name that no
file can have.
"""

import json
import shlex
from pathlib import Path
from typing import NamedTuple

STARTS = {
    "Q": ["fit", "--config", "quickstart", "--run.wandb=off", "--run.folder=runs"],
    "V": ["validate", "--config", "quickstart", "--run.wandb=off", "--run.folder=runs"],
    "P": ["plan", "--config", "quickstart"],
    "D": ["fit", "--config", "quickstart", "--run.wandb=off", "--data.task=DatasetTask"],
}
STARTS["D"] += ["--data.task.checker=NumberChecker", "--run.folder=runs"]

#: Flags whose words are wrong.
FLAGS = """
Q --data.group_size many
Q --data.group_size 2.5
Q --data.group_size 0
Q --data.group_size -1
Q --data.group_size null
Q --data.group_size 1 --data.group_filter mask | data.group_filter=none
Q --data.prompts_per_step 0
Q --data.prompts_per_step x
Q --data.minibatch_size 48
Q --data.minibatch_size 0
Q --data.update_epochs 0
Q --data.update_epochs true
Q --data.group_filter some
Q --data.max_resamples -1
Q --data.skip_bad_rows true | data.task.skip_bad_rows
Q --data.max_prompt_tokens x
Q --data.seed x
Q --data.grup_size 4 | --data.group_size
Q --model.temperature .inf
Q --model.temperature .nan
Q --model.temperature 1e-30
Q --model.temperature -1
Q --model.temperature hot
Q --model.max_new_tokens 0
Q --model.max_new_tokens 1000000
Q --model.max_new_tokens x
Q --model.optimizer.lr x
Q --model.optimizer.lr -1e-4
Q --model.optimizer.lr=-1e-4
Q --model.optimizer.lr .inf
Q --model.optimizer.lr .nan
Q --model.optimizer.lr [1e-4,2e-4]
Q --model.optimizer AdamW --model.optimizer.betas [2,3] | model.optimizer
Q --model.optimizer AdamW --model.optimizer.eps -1
Q --model.optimizer AdamW --model.optimizer.weight_decay -1
Q --model.optimizer Adamm
Q --model.optimizer.momentum 0.9 | momentum
Q --model.lr_scheduler CosineAnnealingLR --model.lr_scheduler.T_max 0
Q --model.lr_scheduler Cosine
Q --model.lr_interval sometimes
Q --model.loss KLCovv
Q --model.loss GRPO
Q --model.loss torch.nn.Linear
Q --model.loss nowhere.Loss
Q --model.loss my_part.Loss
Q --model.loss my_part.NotALoss
Q --model.loss my_part.Broken
Q --model.loss my_part.Broken --model.loss.size 3 | model.loss
Q --model.loss [PPOClip,KLCov]
Q --model.loss 3
Q --model.loss null
Q --model.loss.clip_low -0.2
Q --model.loss.clip_low 20
Q --model.loss.clip_low .nan
Q --model.loss.clip_high x
Q --model.loss.clip_hihg 0.2 | clip_high
Q --model.loss KLCov --model.loss.fraction 2
Q --model.loss KLCov --model.loss.kl_coef -1
Q --model.loss ClipCov --model.loss.fraction -1
Q --model.advantage GRPOO
Q --model.advantage KLCov
Q --model.advantage.epsilon x
Q --model.advantage.epsilonn 1 | epsilonn
Q --model.regularizers+ EntropyBonus --model.regularizers.coef -1 | model.regularizers[0].coef=-1
Q --model.regularizers+ ReferenceKL --model.regularizers.coef -1 | coef=-1
Q --model.regularizers+ Bonus
Q --model.engine local
Q --model.engine LocalEngin
Q --model.engine.max_rows 8 | model.engine.max_rows: model.engine is null and has no settings
Q --model.evaluation Evaluation --model.evaluation.samples 1 | model.evaluation.pass_k
Q --model.evaluation Evaluation --model.evaluation.samples -1 | samples
Q --model.evaluation Evaluation --model.evaluation.temperature -1
Q --model.evaluation Evaluation --model.evaluation.temperature 1e-30
Q --model.evaluation Evaluation --model.evaluation.pass_k [0]
Q --model.evaluation Evaluation --model.evaluation.sampling never
Q --model.evaluation Evaluation --model.evaluation.sample 4 | samples
Q --model.policy.model chain-z
Q --model.policy.model ./no-such-folder
Q --model.policy.model empty-folder | model.policy
Q --model.policy.model LONG | model.policy.model='aaaa
Q --model.loss LONG.B
Q --model.loss LONG.yaml
Q --data.task LONG.yaml
Q --ckpt_path LONG
Q --run.folder LONG
Q --model.policy.dtype float8
Q --model.policy.lora.rank x
Q --model.policy.modle x | model
Q --model my_part.Loss
Q --model nowhere.Module
Q --data my_part.Loss
Q --data nowhere.Data
Q --model no.yaml
Q --data no.yaml
Q --trainer.max_epoch 3 | --trainer.max_epochs
Q --trainer.max_epochs x
Q --trainer.accelerator gpu
Q --trainer.accelerator tpu
Q --trainer.accelerator warp
Q --trainer.devices 0
Q --trainer.devices x
Q --trainer.strategy fast
Q --trainer.precision 7
Q --trainer.precision bf17
Q --trainer.accumulate_grad_batches 0
Q --trainer.accumulate_grad_batches 5
Q --trainer.gradient_clip_val -1
Q --trainer.gradient_clip_val x
Q --trainer.gradient_clip_algorithm max
Q --trainer.check_val_every_n_epoch 0
Q --trainer.callbacks+ EntropyLawz
Q --trainer.callbacks+ my_part.Nothing
Q --trainer.callbacks+ my_part.Loss
Q --trainer.callbacks+ my_part.BrokenCallback
Q --trainer.callbacks+ nowhere.Callback
Q --trainer.callbacks+ Samples --trainer.callbacks.rows -1 | callbacks[8].rows must
Q --trainer.callbacks+ EntropyDynamics --trainer.callbacks.every 0 | every=0
Q --trainer.callbacks+ EntropyDynamics --trainer.callbacks.evry 2 | every
Q --trainer.logger nowhere.Logger
Q --trainer.plugins nowhere.Plugin
Q --trainer.fast_dev_run x
Q --trainer.max_time soon
Q --trainer.limit_val_batches -1
Q --checkpoint.every_n_epochs 0
Q --checkpoint.every_n_epochs x
Q --checkpoint.save_weights_only true
Q --checkpoint.monitor val/acuracy
Q --checkpoint.filename ../../x
Q --run.wandb maybe
Q --run.name ..
Q --run.name /absolute
Q --run.name ${nope}
Q --run.tags '[""]'
Q --run.group ""
Q --run.colour red
Q --run.project team/entropy
Q --seed_everything true
Q --seed_everything x
Q --seed_everything 0,1
Q --seed_everything -3
Q --seed_everything 99999999999
Q --ckpt_path nowhere.ckpt
Q --ckpt_path last
Q --ckpt_path last --model.optimizer.lr 1e-4 | --ckpt_path runs/quickstart-seed0/check
Q --run.name twice --ckpt_path last | runs/twice-2/checkpoints/last.ckpt, runs/twice/
V --run.name twice --ckpt_path last | runs/twice-2/checkpoints/last.ckpt, runs/twice/
Q --run.name other --ckpt_path runs/placed/checkpoints/last.ckpt | --run.name out
Q --unknown 3
Q extra | extra
V --checkpoints [nowhere.ckpt] | nowhere.ckpt
V --checkpoints []
V --checkpoints [base,base]
V --ckpt_path nowhere.ckpt
predict --config quickstart --return_predictions false
"""

#: Data sets and tasks.
DATA = """
Q --data.task Chain
Q --data.task.max_length 0
Q --data.task.validation_size 0
Q --data.task.nothing 3 | nothing
Q --data.task DatasetTask --data.task.train qa.jsonl | checker
D --data.task.train nowhere.jsonl
D --data.task.train empty.jsonl
D --data.task.train folder
D --data.task.train not.jsonl | data.task.skip_bad_rows
D --data.task.train binary.jsonl | data.task.skip_bad_rows
D --data.task.train rows.txt
D --data.task.train qa.jsonl --data.task.prompt_field quetsion | data.task.skip_bad_rows
D --data.task.train qa.jsonl --data.task.answer_field anwser | data.task.skip_bad_rows
D --data.task.train nocolumns.jsonl | field
D --data.task.train qa.jsonl --data.task.validation nowhere.jsonl
D --data.task.train qa.jsonl --data.task.validation_fraction 2
D --data.task.train qa.jsonl --data.task.validation_fraction 0
D --data.task.train qa.jsonl --data.task.checker NumberCheck
D --data.task.train qa.jsonl --data.task.reward nowhere.exact
D --data.task.train qa.jsonl --data.task.reward my_part.py:nothing
D --data.task.train qa.jsonl --data.task.reward no.py:exact
D --data.task.train qa.jsonl --data.task.train_limit 0
"""

#: Files of configurations, of components and of checkpoints.
FILES = """
fit --config quikstart | quickstart
fit --config configs/quikstart.yaml | quickstart
fit --config experiment/kl_cof | experiment/kl_cov
fit --config nothing-like-it | base
fit --config folder | folder
fit --config experiment/kl_cov | base.yaml
fit --config empty.yaml | empty.yaml
fit --config list.yaml | list.yaml
fit --config text.yaml | text.yaml
fit --config number.yaml | number.yaml
fit --config open.yaml | open.yaml
fit --config twice.yaml | twice
fit --config tab.yaml | tab.yaml
fit --config binary.yaml | binary.yaml
Q --config unknown_key.yaml | los
Q --config wrong_type.yaml | data.group_size
Q --config wrong_part.yaml | model.loss
Q --config wrong_name.yaml | run.name
Q --config reference.yaml | run.notes
Q --config hidden.yaml | data.task.train is the text <redacted>
Q --config hidden.yaml --data.task.train nowhere.jsonl | data.task.train
P --config hidden.yaml | data.task.train is the text <redacted>
Q --model.loss empty.yaml
Q --model.loss list.yaml
Q --model.loss no_class.yaml
Q --model.loss unknown_argument.yaml | fractoin
Q --model.loss loss/kl_cof
Q --model.loss rows.txt
Q --model.advantage loss/kl_cov
Q --ckpt_path empty.ckpt | empty.ckpt
Q --ckpt_path text.ckpt | text.ckpt
V --ckpt_path text.ckpt | text.ckpt
V --ckpt_path weights.ckpt | weights.ckpt
test --config quickstart --run.folder runs --ckpt_path weights.ckpt | weights alone
predict --config quickstart --run.folder runs --ckpt_path weights.ckpt | weights alone
Q --ckpt_path folder | folder
"""

#: The other subcommands.
COMMANDS = """
fti | fit
fit | required
figures | runs
figures nowhere | nowhere
figures folder | folder
figures LONG | aaaa
reproduce --figures anatomy --jobs 0 --output LONG
reproduce --jobs 0 --archive LONG
compare LONG | aaaa
archive LONG | aaaa
export --output x --checkpoint LONG
sweep --file LONG.yaml
pretrain --steps 1 --output LONG
figures runs/quickstart-seed0 --colour red | colour
compare | reports
compare nowhere.json | nowhere.json
compare text.yaml | text.yaml
export | checkpoint
export --checkpoint runs/quickstart-seed0 --output x | checkpoints/last.ckpt
export --checkpoint nowhere.ckpt --output x | nowhere.ckpt
export --checkpoint text.ckpt --output x | text.ckpt
export --checkpoint text.ckpt --output folder | --output
export --checkpoint weights.ckpt --output x --dtype float8 | dtype
pretrain | output
pretrain --output x --size huge
pretrain --output x --steps x
pretrain --output x --steps -1
pretrain --output x --batch_size 0
pretrain --output x --error 2
pretrain --output x --learning_rate -1e-3
pretrain --output x --task chess
pretrain --output folder --steps 1 | folder
pretrain --output x --task countdown --error 0.9 | take attempts.error
plan | required
P --gpu b200
P --gpus 0
P --gpus x
P --response_tokens -1
P --utilisation 2
P --decode_efficiency 0
P --model.loss KLCovv
P --model.loss KLCov --model.loss.fraction 2
P --data.minibatch_size 48
P --trainer.max_steps 81
P --trainer.gradient_clip_val -1
P --trainer.accelerator auto --trainer.precision 16-mixed
reproduce --suite huge
reproduce --budget slow
reproduce --figures 99
reproduce --jobs -1
reproduce --jobs 0 --archive nowhere | nowhere
archive | runs
archive nowhere | nowhere
sweep --seeds [0,1] | config
sweep --config quickstart --seeds x
sweep --config quickstart --over.model.los [PPOClip] | los
sweep --config quickstart --seeds [0] --jobs 0
sweep --config quickstart --seeds []
sweep --file nowhere.yaml
reproduce --figures anatomy --jobs x
reproduce --figures anatomy --jobs -1
"""


class Wrong(NamedTuple):
    """A command and what its last line holds."""

    words: list[str]
    held: str


def wrong_inputs() -> list[Wrong]:
    """Every one of the table."""
    return [_wrong(line) for line in (FLAGS + DATA + FILES + COMMANDS).splitlines() if line]


def _wrong(line: str) -> Wrong:
    typed, _, held = line.replace("LONG", "a" * 300).partition(" | ")
    first, *rest = shlex.split(typed)
    flags = [word.partition("=")[0].strip("-+") for word in rest if word.startswith("--")]
    return Wrong([*STARTS.get(first, [first]), *rest], held or flags[-1])


def write_files(folder: Path) -> None:
    """The files that the table names."""
    rows = [{"question": f"What is {i} + 1?", "answer": str(i + 1)} for i in range(20)]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    texts = {
        "qa.jsonl": lines,
        "rows.txt": lines,
        "empty.jsonl": "",
        "not.jsonl": "{'question': 1}\n" * 30,
        "nocolumns.jsonl": '{"a": "b"}\n' * 30,
        "empty.yaml": "",
        "list.yaml": "- 1\n- 2\n",
        "text.yaml": "hello\n",
        "number.yaml": "3\n",
        "open.yaml": "model: {loss: [\n",
        "twice.yaml": "twice: 1\ntwice: 2\n",
        "tab.yaml": "model:\n\tloss: x\n",
        "unknown_key.yaml": "model: {los: KLCov}\n",
        "wrong_type.yaml": "data: {group_size: many}\n",
        "wrong_part.yaml": "model: {loss: {class_path: KLCovv}}\n",
        "wrong_name.yaml": "run: {name: 1e-6}\n",
        "reference.yaml": "run: {notes: '${nope}'}\n",
        "hidden.yaml": "data: {task: {class_path: DatasetTask, init_args: {checker: NumberChecker, "
        "train: <redacted>}}}\n",
        "no_class.yaml": "fraction: 0.1\nother: 3\n",
        "unknown_argument.yaml": "class_path: KLCov\ninit_args: {fractoin: 0.1}\n",
        "empty.ckpt": "",
        "text.ckpt": "not a checkpoint\n",
        "my_part.py": "import lightning as L\nfrom lit_entropy.losses import PPOClip\n\n"
        "class NotALoss: ...\n\nclass Broken(PPOClip):\n"
        "    def __init__(self, size: int = 2) -> None:\n        raise RuntimeError('no room')\n\n"
        "class BrokenCallback(L.Callback):\n"
        "    def __init__(self) -> None:\n        self.x = undefined\n",
        "folder/file.txt": "x\n",
        "empty-folder/README": "",
        "runs/quickstart-seed0/checkpoints/last.ckpt": "not a checkpoint\n",
        "runs/twice/checkpoints/last.ckpt": "not a checkpoint\n",
        "runs/twice-2/checkpoints/last.ckpt": "not a checkpoint\n",
        "runs/placed/config.yaml": "{}\n",
        "runs/placed/checkpoints/last.ckpt": "not a checkpoint\n",
    }
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    for name in ("binary.jsonl", "binary.yaml"):
        (folder / name).write_bytes(b"\xff\xfe\x00broken\n" * 3)
