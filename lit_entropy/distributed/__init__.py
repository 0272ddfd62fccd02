"""Several ranks: exchange between them, sharding, and the FSDP2 strategy."""

from lit_entropy.distributed.strategy import FullySharded

__all__ = ["FullySharded"]
