"""What the anatomy trains and how it is judged: conditions, sizes, seeds and rules, and no code.

The report prints a digest of this file. Learning rates of Adam and of the transformer were chosen
on ``TUNING_SEEDS`` by ``STEP_RULE``.
"""

from lit_entropy.laboratory.conditions import Condition, Row, Setting

SEEDS = (0, 1, 2, 3, 4)
TUNING_SEEDS = (100, 101)
#: RL steps of a run, and of the longer ones to which the law is fitted.
STEPS, LAW_STEPS = 30, 150
#: Learning rates of the table: of the reference, and ten times smaller and forty times larger.
RATE, SMALL, LARGE = 2.0, 0.2, 80.0
#: Of the natural gradient, whose step has no share of the prompt.
NATURAL_RATE = 0.05
STEP_RULE = (
    "of 1, 2 and 5 times powers of ten, the learning rate whose mean absolute change of a state's "
    "entropy over the first ten RL steps is nearest to the table's, on a logarithmic scale"
)

TABLE, NATURAL = ("table",), ("table", "table_natural")
_SAMPLES = {
    "model.engine": "lit_entropy.rollouts.LocalEngine",
    "data.group_size": "8",
    "data.minibatch_size": "64",
}
#: Eight updates that together are the large step: a clip at 0.2 acts on none smaller.
_EIGHT = {"model.optimizer.lr": str(LARGE / 8), "data.minibatch_size": "18"}
_CLIP = "lit_entropy.losses.PPOClip"

CONDITIONS = (
    Condition("theorem1", TABLE, {"model.optimizer.lr": str(RATE)}),
    Condition("theorem2", NATURAL, {"model.optimizer.lr": str(NATURAL_RATE)}, natural=True),
    Condition("theorem2_small", NATURAL, {"model.optimizer.lr": str(NATURAL_RATE / 10)},
              natural=True),
    Condition("sampled", TABLE, _SAMPLES | {"model.advantage": "lit_entropy.advantages.DrGRPO"},
              sampled=True),
    Condition("standardised", TABLE, _SAMPLES | {"model.advantage": "lit_entropy.advantages.GRPO"},
              sampled=True),
    Condition("shared", TABLE, {"model.policy.kind": "transformer", "model.optimizer.lr": "0.005"}),
    Condition("adam", TABLE, {"model.optimizer": "torch.optim.Adam", "model.optimizer.lr": "0.02"}),
    Condition("updates", TABLE, _EIGHT | {"model.loss": _CLIP, "model.loss.clip_low": "1",
                                          "model.loss.clip_high": "1e9"}),
    Condition("clipping", TABLE, _EIGHT | {"model.loss": _CLIP}),
    Condition("small", TABLE, {"model.optimizer.lr": str(SMALL)}),
    Condition("large", TABLE, {"model.optimizer.lr": str(LARGE)}),
    Condition("law", TABLE, {"model.optimizer.lr": str(LARGE)}),
)  # fmt: skip

#: What the table and the figure compare, one assumption a row; the first is the reference.
ROWS = (
    Row("none: Theorem 1, policy gradient", "theorem1", "theorem1"),
    Row("none, step ten times smaller", "small", "theorem1"),
    Row("none: Theorem 2, natural gradient", "theorem2", "theorem2"),
    Row("none, step of Theorem 2 ten times smaller", "theorem2_small", "theorem2"),
    Row("small step: forty times larger", "large", "theorem1"),
    Row("Cov(log π, A) for a policy-gradient step", "theorem1", "theorem2"),
    Row("advantages of 8 samples", "sampled", "theorem1"),
    Row("covariance of the same 8 samples", "sampled", "sampled"),
    Row("advantages of 8 samples, standardised", "standardised", "theorem1"),
    Row("shared parameters (transformer)", "shared", "theorem1"),
    Row("Adam", "adam", "theorem1"),
    Row("the large step in 8 updates", "updates", "theorem1"),
    Row("the large step in 8 updates, clipped", "clipping", "theorem1"),
    Row("held-out prompts", "theorem1", "theorem1", held_out=True),
    Row("held-out prompts, shared parameters", "shared", "theorem1", held_out=True),
)

#: Rows whose pairs are drawn one by one.
SHOWN = (ROWS[0], ROWS[6], ROWS[9], ROWS[10])

#: A theorem holds where the 95 % t intervals over seeds of R² and slope are this near to 1, and
#: that of the share of states with the same sign lies above this: changes that pass through 0
#: differ in a few.
HOLDS = Setting(least_r2=0.999, slope_within=0.01, sign_agreement=0.99)
#: An assumption costs R² where the 95 % t interval of the loss, paired by seed, lies above 0. Rows
#: of one condition with two predictions are trained once.

#: The law holds on the table where the 95 % t interval of R² lies above this and that of a above 0
#: (the rule of the paper's Fig. 3); the covariance of log pi and A is positive where that of its
#: share of the RL steps lies above this (Fig. 8).
LAW_R2, POSITIVE_SHARE = 0.9, 0.9
