# %% [markdown]
# # The collapse of entropy
#
# Fig. 1, Fig. 2 and Table 1 of the paper (arXiv 2505.22617) in miniature. What the paper says, and
# what is measured here with a verdict on each:
#
# - under GRPO the policy entropy falls towards zero while the accuracy rises;
# - most of both happens at the very start of training;
# - a small share of the tokens carries the covariance that drives the fall.

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
report = reproduce(main, budget=BUDGET, figures="1,2,table-1", output=str(OUTPUT))

# %% [markdown]
# ## Fig. 1: entropy and accuracy
#
# Entropy is the exact token mean of each rollout, accuracy that of greedy decoding on held-out
# problems. The same from your own runs:
# `figure_1([load_run("runs/my-run-seed0"), load_run("runs/my-run-seed1")])`, with `figure_1` of
# `lit_entropy.figures.collapse` and `load_run` of `lit_entropy.figures.history`.

# %%
show("1", runs_of(OUTPUT, BUDGET, "1"))

# %% [markdown]
# ## Fig. 2: when it happens
#
# The share of the whole fall of entropy, and of the whole gain in accuracy, that is reached by a
# share of training. In the paper a twelfth of training takes 73 % of the entropy and brings 76 % of
# the gain; a third 94 % and 93 %.

# %%
show("2", runs_of(OUTPUT, BUDGET, "2"))

# %% [markdown]
# ## Table 1: a few tokens
#
# Mean covariance of log-probability and advantage (eq. 10) over the top share of the tokens, for
# the base before any update. `00_tour` shows which tokens these are.

# %%
show("table-1", runs_of(OUTPUT, BUDGET, "table-1"))

# %% [markdown]
# ## Verdicts
#
# Each claim is judged by the rule beside it, from three seeds of every setting and 100 RL steps
# on; the budget `smoke` has fewer. `docs/science/measured.md` has the verdicts of many
# more seeds, as `full` trains them, and says which rules were set during or after its runs.

# %%
show_verdicts(report)
