"""Policy losses: one algorithm per file; name any of them by ``model.loss.class_path``."""

from lit_entropy.losses.base import PolicyLoss
from lit_entropy.losses.clip_cov import ClipCov
from lit_entropy.losses.kl_cov import KLCov
from lit_entropy.losses.policy_gradient import PolicyGradient
from lit_entropy.losses.ppo_clip import PPOClip
from lit_entropy.losses.truncated_importance import TruncatedImportance

__all__ = [
    "ClipCov",
    "KLCov",
    "PPOClip",
    "PolicyGradient",
    "PolicyLoss",
    "TruncatedImportance",
]
