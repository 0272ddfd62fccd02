# %% [markdown]
# # Holding the entropy up
#
# Fig. 9, 10 and 12 of the paper (arXiv 2505.22617) in miniature. Two usual remedies, an entropy
# bonus and a KL penalty to the base, with their coefficients swept; and the knobs of Clip-Cov and
# KL-Cov, which are to steer the level of entropy.

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
# This notebook has the most runs, 27 settings.

# %%
report = reproduce(main, budget=BUDGET, figures="9,10,12", output=str(OUTPUT))

# %% [markdown]
# ## Fig. 9: entropy bonus
#
# In the paper small coefficients do nothing and large ones make the entropy explode. The gradient
# goes through the exact entropy here.

# %%
show("9", runs_of(OUTPUT, BUDGET, "9"))

# %% [markdown]
# ## Fig. 10: KL to the base
#
# In the paper the penalty holds the entropy up and costs accuracy.

# %%
show("10", runs_of(OUTPUT, BUDGET, "10"))

# %% [markdown]
# ## Fig. 12: steering
#
# The level of entropy against the fraction of tokens that Clip-Cov selects, and against the weight
# of KL-Cov's penalty.

# %%
show("12", runs_of(OUTPUT, BUDGET, "12"))

# %% [markdown]
# ## Verdicts
#
# Each claim is judged by the rule beside it, from three seeds of every setting and 100 RL steps
# on; the budget `smoke` has fewer. `docs/science/measured.md` has the verdicts of many
# more seeds, as `full` trains them, and says which rules were set during or after its runs.

# %%
show_verdicts(report)
