"""Counter-based random numbers: every draw is a pure function of integer keys.

No generator state exists, so nothing has to be saved for an exact resume, and a draw does not
depend on batch composition, order, microbatch size, device or rank.
"""

import torch
from torch import Tensor

from lit_entropy.functional.mixing import absorb, key_number, shift_right


def hash_keys(*keys: int | str | Tensor) -> Tensor:
    """Hash integer keys to one well-mixed int64.

    Args:
        keys: ints, strings (a purpose), or int64 tensors, which broadcast against each other.

    Returns:
        int64 tensor of the broadcast shape.
    """
    state = torch.zeros((), dtype=torch.int64)
    for key in keys:
        key = key_number(key) if isinstance(key, str) else key
        tensor = key.long() if isinstance(key, Tensor) else torch.tensor(key, dtype=torch.int64)
        state = absorb(state.to(tensor.device), tensor)
    return state


def uniforms(*keys: int | str | Tensor) -> Tensor:
    """Uniform numbers in [0, 1) with 53 random bits, a pure function of the keys.

    Args:
        keys: as in :func:`hash_keys`, e.g. ``uniforms(seed, "sample", step, ids_B1, token_T)``.

    Returns:
        float64 tensor of the keys' broadcast shape.
    """
    bits: Tensor = shift_right(hash_keys(*keys), 11)
    return bits.double() * 2.0**-53


def generator(*keys: int | str) -> torch.Generator:
    """A CPU generator seeded from the keys, for permutations and draws of variable length."""
    return torch.Generator().manual_seed(int(hash_keys(*keys)))


def permutation(size: int, *keys: int | str) -> Tensor:
    """A permutation of 0..size-1 as int64 [size], a pure function of the keys."""
    return torch.randperm(size, generator=generator(*keys))
