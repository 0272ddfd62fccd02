# %% [markdown]
# # Why entropy falls
#
# Section 3 of the paper (arXiv 2505.22617) and its Fig. 8 in miniature: the entropy of a softmax
# policy changes by minus the covariance of log-probability and change of the logit (Lemma 1), which
# a policy-gradient step makes the covariance with the advantage (Theorems 1 and 2). Here the
# realised change is measured over the whole vocabulary beside each prediction.

# %%
# %matplotlib inline
import os
from pathlib import Path

from sections import show, show_verdicts

from lit_entropy.cli.main import main
from lit_entropy.reproduce.command import reproduce, runs_of

BUDGET = os.environ.get("LIT_ENTROPY_BUDGET", "smoke")  # smoke, quick or full
OUTPUT = Path(os.environ.get("LIT_ENTROPY_OUTPUT", f"runs/reproduce-{BUDGET}"))

# %% [markdown]
# The runs: those that this budget asks for and that are not in the output folder yet are trained,
# with one line each. All notebooks share the folder, and no run is trained twice. With the budget
# `smoke` the runs are a few RL steps long: they show how it works, not what it comes to.

# %%
report = reproduce(main, budget=BUDGET, figures="8,dynamics", output=str(OUTPUT))

# %% [markdown]
# ## Fig. 8: the fall of entropy and the covariance
#
# The paper's setting: responses as actions, strictly on-policy policy gradient. Left: the realised
# fall and the covariance over the run. Right: the covariance by the accuracy of the prompt's group.

# %%
show("8", runs_of(OUTPUT, BUDGET, "8"))

# %% [markdown]
# ## Lemma 1, Theorems 1 and 2
#
# One point per measured RL step, for GRPO with its clipping, Adam and several updates per rollout,
# and for strictly on-policy policy gradient. Lemma 1 uses the new logits and has no free scale. The
# theorems hold up to the step size, so what counts is whether they lie on a line, and their sign.
# `00_tour` has Lemma 1 with a plain gradient step, where its error shrinks with the step.

# %%
show("dynamics", runs_of(OUTPUT, BUDGET, "dynamics"))

# %% [markdown]
# ## Verdicts
#
# Each claim is judged by the rule beside it, from three seeds of every setting and 100 RL steps
# on; the budget `smoke` has fewer. `docs/science/measured.md` has the verdicts of many
# more seeds, as `full` trains them, and says which rules were set during or after its runs.

# %%
show_verdicts(report)
