# %% [markdown]
# # One RL step by hand
#
# This notebook takes one step of reinforcement learning apart, on the smallest shipped base model
# and a task of arithmetic chains, with nothing but the public parts of `lit_entropy`:
#
# 1. prompts, a rollout, rewards and advantages;
# 2. the covariance of log-probability and advantage of every token, and where it is largest;
# 3. the tokens that Clip-Cov and KL-Cov select for it;
# 4. one update, and the change of entropy that it made beside the one that theory predicts;
# 5. the same in a loop: a short run with the Lightning `Trainer`, and its summary.
#
# Shapes stand in the names: P prompts, G samples per prompt, B = P G responses, T tokens of a
# response, V tokens of the vocabulary, N states. Entropies are in nats.

# %%
# %matplotlib inline
import os
from copy import deepcopy
from pathlib import Path

import lightning as L
import torch
from IPython.display import Markdown, display
from matplotlib import pyplot as plt

from lit_entropy.advantages import GRPO
from lit_entropy.callbacks import CovarianceMonitor, EntropyDelta, EntropyMonitor, InitialValidation
from lit_entropy.data import PromptDataModule
from lit_entropy.evaluation.evaluation import Evaluation
from lit_entropy.figures.as_text import markdown
from lit_entropy.figures.summary import summary_figure
from lit_entropy.figures.token_page import PAPER_TABLE1
from lit_entropy.functional import agreement
from lit_entropy.functional.attribution import largest_means
from lit_entropy.functional.covariance import token_covariance
from lit_entropy.functional.dynamics import entropy, lemma1_prediction, second_order_prediction
from lit_entropy.functional.padding import left_pad
from lit_entropy.functional.sampled_dynamics import sampled_theorem1, sampled_theorem2
from lit_entropy.losses import ClipCov, KLCov, PPOClip
from lit_entropy.module import EntropyModule
from lit_entropy.policy.policy import Policy
from lit_entropy.rollouts import LocalEngine
from lit_entropy.tasks import ChainArithmetic
from lit_entropy.tracking.csv_logger import RunLogger, claim_run_folder, read_metrics
from lit_entropy.types import LossBatch, Sequences

BUDGET = os.environ.get("LIT_ENTROPY_BUDGET", "smoke")  # smoke, quick or full
OUTPUT = Path(os.environ.get("LIT_ENTROPY_OUTPUT", f"runs/reproduce-{BUDGET}"))
RL_STEPS = {"smoke": 4, "quick": 100, "full": 100}[BUDGET]

# %% [markdown]
# ## Prompts, rollout, rewards
#
# A problem is a chain such as `7+5*3-2`, worked out left to right, modulo 10. The base writes its
# steps with varying care; only the digit after `#` is scored. Every draw is a function of the seed,
# the RL step, the prompt and the sample, so this rollout is the same on every machine.

# %%
P, G, SEED = 32, 8, 0
policy, task = Policy("chain-s"), ChainArithmetic()
problems = [problem for problem in task.train_problems()[:P] for _ in range(G)]
prompts = [task.encode(problem, policy.tokenizer) for problem in problems]
prompt_ids_B = torch.tensor([problem.id for problem in problems])
sample_ids_B = torch.arange(G).repeat(P)
completions = LocalEngine().generate(
    policy,
    prompts,
    prompt_ids_B,
    sample_ids_B,
    max_new_tokens=80,
    temperature=1.0,
    keys=(SEED, "rollout", 1),
)
texts = policy.decode(completions.tokens_BT, completions.mask_BT)
rewards_PG = torch.tensor(
    [task.reward(problem, text) for problem, text in zip(problems, texts, strict=True)]
).view(P, G)
advantages_PG = GRPO()(rewards_PG)

rows = [
    [f"`{problem.prompt}`", f"`{text}`", f"{reward:.0f}", f"{advantage:+.2f}"]
    for problem, text, reward, advantage in zip(
        problems[:G], texts[:G], rewards_PG[0], advantages_PG[0], strict=True
    )
]
display(Markdown(markdown(["prompt", "response", "reward", "advantage (GRPO)"], rows)))
print(f"mean reward of the {P * G} responses: {rewards_PG.mean():.3f}")

# %% [markdown]
# `Sequences` are what a policy is asked about, a `LossBatch` holds what a loss needs of them. The
# old log-probs and the exact entropies come from the training path, so that the first ratio is
# exactly 1.

# %%
prompt_tokens_BS, prompt_mask_BS = left_pad(prompts, policy.pad_token_id)
mask_BT = completions.mask_BT
sequences = Sequences(completions.tokens_BT, mask_BT, prompt_tokens_BS, prompt_mask_BS)
with torch.no_grad():
    old = policy(sequences, temperature=1.0)
batch = LossBatch(
    mask_BT=mask_BT,
    old_logprobs_BT=old.logprobs_BT,
    advantages_BT=advantages_PG.view(-1, 1) * mask_BT,
    entropies_BT=old.entropy_BT,
    prompt_ids_B=prompt_ids_B,
    sample_ids_B=sample_ids_B,
    minibatch_tokens=int(mask_BT.sum()),
)
print(f"{int(mask_BT.sum())} tokens, mean entropy {old.entropy_BT[mask_BT].mean():.3f} nats")

# %% [markdown]
# ## Who drives the entropy
#
# Entropy falls where probable tokens are rewarded: its change is minus the covariance of
# log-probability and advantage (Theorem 2). Table 1 of the paper: in a few tokens it is far above
# the mean. Here are the means of the top shares beside those of Qwen2.5-7B.

# %%
cov_BT = token_covariance(old.logprobs_BT, batch.advantages_BT, mask_BT)
ours = largest_means(cov_BT, mask_BT, list(PAPER_TABLE1)).tolist()
header = ["top", *(f"{100 * share:g} %" for share in PAPER_TABLE1)]
rows = [
    ["chain-s", *(f"{mean:.3f}" for mean in ours)],
    ["Qwen2.5-7B (paper)", *(f"{mean:.3f}" for mean in PAPER_TABLE1.values())],
]
Markdown(markdown(header, rows))

# %% [markdown]
# Both methods act on these tokens: KL-Cov penalises those of the highest covariance (eq. 13),
# Clip-Cov drops the gradient of random tokens in a band of high covariance (eq. 11). The
# fractions are those of the tiny scale, 2 % and 0.7 %.

# %%
kl_cov_BT = KLCov(fraction=0.02).select(old, batch)
clip_cov_BT = ClipCov(fraction=7e-3).select(old, batch)
top_N = cov_BT.flatten().argsort(descending=True)[:12]
columns = (
    completions.tokens_BT,
    old.logprobs_BT.exp(),
    batch.advantages_BT,
    cov_BT,
    kl_cov_BT,
    clip_cov_BT,
)
rows = [
    [
        f"`{policy.tokenizer.decode([int(token)])}`",
        *(f"{number:.3g}" for number in numbers[:3]),
        *("yes" if selected else "" for selected in numbers[3:]),
    ]
    for token, *numbers in torch.stack([column.flatten()[top_N] for column in columns], 1).tolist()
]
header = ["token", "probability", "advantage", "covariance", "KL-Cov", "Clip-Cov"]
display(Markdown(markdown(header, rows)))
print(f"selected of {int(mask_BT.sum())}: {int(kl_cov_BT.sum())}, {int(clip_cov_BT.sum())}")

# %% [markdown]
# ## One update, predicted against realised
#
# One gradient step on the whole rollout, with plain SGD. The logits before and after it, over the
# whole vocabulary, give the realised change of entropy at every state of the rollout and Lemma 1's
# prediction, minus the covariance of log-probability and change of the logit. Its error is of
# second order, so it shrinks in proportion to the step.

# %%
with torch.no_grad():
    before_NV = policy.logits(sequences)[mask_BT].double()


def updated(learning_rate: float, loss: torch.nn.Module) -> torch.Tensor:
    """Logits [N, V] at the rollout's states after one SGD update of a copy of the policy."""
    new = deepcopy(policy)
    token_loss_BT = loss(new(sequences, temperature=1.0), batch).token_loss_BT
    (token_loss_BT[mask_BT].sum() / batch.minibatch_tokens).backward()
    torch.optim.SGD(new.parameters(), lr=learning_rate).step()
    with torch.no_grad():
        return new.logits(sequences)[mask_BT].double()


rows, changes = [], {}
for learning_rate in (0.03, 0.003, 0.0003):
    after_NV = updated(learning_rate, PPOClip())
    realised_N = entropy(after_NV) - entropy(before_NV)
    lemma1_N = lemma1_prediction(before_NV, after_NV - before_NV)
    both_N = lemma1_N + second_order_prediction(before_NV, after_NV - before_NV)
    changes[learning_rate] = lemma1_N, realised_N
    rows.append(
        [
            f"{learning_rate:g}",
            *(f"{1e3 * change_N.mean():+.4f}" for change_N in (realised_N, lemma1_N)),
            *(f"{agreement.relative_error(x_N, realised_N):.2g}" for x_N in (lemma1_N, both_N)),
        ]
    )
header = ["learning rate", "mean ΔH realised (1e-3 nats)", "Lemma 1", "relative error"]
Markdown(markdown([*header, "with the second order"], rows))

# %%
figure, axes = plt.subplots(figsize=(3.4, 3.0), layout="constrained")
lemma1_N, realised_N = (1e3 * change_N for change_N in changes[0.03])
axes.scatter(lemma1_N, realised_N, s=3, linewidths=0, alpha=0.4, label="one state")
axes.axline((0, 0), slope=1, color="0.5", linewidth=0.8, linestyle="--", label="equal")
axes.set(
    xlabel=r"Lemma 1, $\Delta H$ of a state ($10^{-3}$ nats)",
    ylabel=r"realised ($10^{-3}$ nats)",
)
axes.legend(loc="lower right", markerscale=3)
plt.show()

# %% [markdown]
# Lemma 1 needs the new logits. Theorems 1 and 2 predict the change from the sampled tokens alone,
# for a tabular policy and up to the step size: what can be read is the sign. Below, Theorem 2 has
# the sign of the realised change and Theorem 1 has not.
#
# The same update without the gradient of the tokens that Clip-Cov selects, 0.7 % of them, costs
# visibly less entropy.

# %%
sampled = (old.logprobs_BT, batch.advantages_BT, mask_BT)
print(f"Theorem 1 {sampled_theorem1(*sampled):+.4f}, Theorem 2 {sampled_theorem2(*sampled):+.4f}")
for name, loss in {"PPO-clip": PPOClip(), "Clip-Cov": ClipCov(fraction=7e-3)}.items():
    change_N = entropy(updated(0.03, loss)) - entropy(before_NV)
    print(f"{name}: mean ΔH = {1e3 * change_N.mean():+.4f}e-3 nats")

# %% [markdown]
# ## The same in a loop
#
# A run is the same parts in the hands of the Lightning `Trainer`: one epoch is one RL step. The
# command line `lit-entropy fit --config configs/quickstart.yaml` does this with YAML.

# %%
module = EntropyModule(
    policy=Policy("chain-s"),
    loss=PPOClip(),
    advantage=GRPO(),
    evaluation=Evaluation(samples=0),
    optimizer=lambda parameters: torch.optim.AdamW(parameters, lr=2e-4, weight_decay=0.0),
    max_new_tokens=80,
)
data = PromptDataModule(
    ChainArithmetic(validation_size=100),
    prompts_per_step=P,
    group_size=G,
    minibatch_size=32,
    group_filter="none",
    seed=SEED,
)
logger = RunLogger(str(OUTPUT), claim_run_folder(OUTPUT, "tour", resume=False))
trainer = L.Trainer(
    accelerator="cpu",
    max_epochs=RL_STEPS,
    check_val_every_n_epoch=RL_STEPS // 2,
    gradient_clip_val=1.0,
    logger=logger,
    callbacks=[InitialValidation(), EntropyMonitor(), CovarianceMonitor(), EntropyDelta()],
    log_every_n_steps=1,
    num_sanity_val_steps=0,
    enable_checkpointing=False,
    enable_progress_bar=False,
    enable_model_summary=False,
)
trainer.fit(module, datamodule=data)
history = read_metrics(logger.log_dir)
summary_figure(history)

# %% [markdown]
# A few RL steps only start the fall of entropy. `01_collapse` has whole runs, with several seeds.
