# %% [markdown]
# # Clip-Cov and KL-Cov
#
# Fig. 11 and Table 2 of the paper (arXiv 2505.22617) in miniature: GRPO, clip-higher, Clip-Cov and
# KL-Cov on the same prompts with the same seeds.
#
# - Do the covariance methods hold the entropy up, and what do they do to length and accuracy?
# - Which difficulties profit: chains of 2 to 4 operations, 5 to 7, 8 to 10, and 11 to 12, which are
#   longer than any that is trained on?

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
report = reproduce(main, budget=BUDGET, figures="11,table-2", output=str(OUTPUT))

# %% [markdown]
# ## Fig. 11: entropy, length, accuracy
#
# The last panel compares at matched compute: accuracy against generated tokens.

# %%
show("11", runs_of(OUTPUT, BUDGET, "11"))

# %% [markdown]
# ## Table 2: accuracy by difficulty
#
# Differences to GRPO are paired by seed.

# %%
show("table-2", runs_of(OUTPUT, BUDGET, "table-2"))

# %% [markdown]
# ## Verdicts
#
# Each claim is judged by the rule beside it, from three seeds of every setting and 100 RL steps
# on; the budget `smoke` has fewer. `docs/science/measured.md` has the verdicts of many
# more seeds, as `full` trains them, and says which rules were set during or after its runs.

# %%
show_verdicts(report)
