# %% [markdown]
# # The law R = -a exp(H) + b
#
# Fig. 3, 4, 5, 6, 7 and 13 of the paper (arXiv 2505.22617) in miniature:
#
# - held-out accuracy R against entropy H: two coefficients describe a whole run, on mathematics and
#   on a second task;
# - fitted to the first 15 % of a run, the law forecasts the rest: better than simple rivals?
# - do (a, b) depend on the algorithm, on the size of the model, on the training problems?

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
report = reproduce(main, budget=BUDGET, figures="3,4,5,5b,6,7,13", output=str(OUTPUT))

# %% [markdown]
# ## Fig. 3 and 4: the fit
#
# One point a validation: the entropy and the accuracy of the same policy. Entropy falls to the
# right. b - a is the accuracy that the law gives for entropy 0: the ceiling.

# %%
show("3", runs_of(OUTPUT, BUDGET, "3"))

# %%
show("4", runs_of(OUTPUT, BUDGET, "4"))

# %% [markdown]
# ## Fig. 5: the forecast and its rivals
#
# The paper reports the error of the forecast. Beside it stand three forecasts that know nothing of
# the exponential: the last value, a line in H, and a sigmoid in RL steps.

# %%
show("5", runs_of(OUTPUT, BUDGET, "5"))

# %%
show("5b", runs_of(OUTPUT, BUDGET, "5b"))

# %% [markdown]
# ## Fig. 6: algorithms
#
# GRPO, RLOO, REINFORCE++ and PRIME on one base and one training set, with one law each and one law
# for all of them.

# %%
show("6", runs_of(OUTPUT, BUDGET, "6"))

# %% [markdown]
# ## Fig. 7: sizes
#
# a and b against the parameters without embeddings, with the largest size predicted by the others.

# %%
show("7", runs_of(OUTPUT, BUDGET, "7"))

# %% [markdown]
# ## Fig. 13: training problems
#
# Chains of 1 to 10 operations against chains of 1 to 6, validated on the same problems.

# %%
show("13", runs_of(OUTPUT, BUDGET, "13"))

# %% [markdown]
# ## Verdicts
#
# Each claim is judged by the rule beside it, from three seeds of every setting and 100 RL steps
# on; the budget `smoke` has fewer. `docs/science/measured.md` has the verdicts of many
# more seeds, as `full` trains them, and says which rules were set during or after its runs.

# %%
show_verdicts(report)
