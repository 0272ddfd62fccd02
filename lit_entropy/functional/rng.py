"""Counter-based random numbers: every draw is a pure function of integer keys.

No generator state exists, so nothing has to be saved for an exact resume, and a draw does not
depend on batch composition, order, microbatch size, device or rank.
"""

import hashlib

import torch
from torch import Tensor

_MIX_1 = 0xBF58476D1CE4E5B9 - (1 << 64)  # constants of splitmix64 (Steele et al., 2014), as int64
_MIX_2 = 0x94D049BB133111EB - (1 << 64)
_GOLDEN = 0x9E3779B97F4A7C15 - (1 << 64)


def _shift_right(value: Tensor, bits: int) -> Tensor:
    """Logical right shift; torch shifts int64 arithmetically."""
    return (value >> bits) & ((1 << (64 - bits)) - 1)


def _mix(value: Tensor) -> Tensor:
    value = (value ^ _shift_right(value, 30)) * _MIX_1
    value = (value ^ _shift_right(value, 27)) * _MIX_2
    return value ^ _shift_right(value, 31)


def hash_keys(*keys: int | str | Tensor) -> Tensor:
    """Hash integer keys to one well-mixed int64.

    Args:
        keys: ints, strings (a purpose), or int64 tensors, which broadcast against each other.

    Returns:
        int64 tensor of the broadcast shape.
    """
    state = torch.zeros((), dtype=torch.int64)
    for key in keys:
        if isinstance(key, str):
            digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
            key = int.from_bytes(digest, "little", signed=True)
        tensor = key.long() if isinstance(key, Tensor) else torch.tensor(key, dtype=torch.int64)
        state = _mix(state.to(tensor.device) + tensor * _GOLDEN + _GOLDEN)
    return state


def uniforms(*keys: int | str | Tensor) -> Tensor:
    """Uniform numbers in [0, 1) with 53 random bits, a pure function of the keys.

    Args:
        keys: as in :func:`hash_keys`, e.g. ``uniforms(seed, "sample", step, ids_B1, token_T)``.

    Returns:
        float64 tensor of the keys' broadcast shape.
    """
    return _shift_right(hash_keys(*keys), 11).double() * 2.0**-53


def generator(*keys: int | str) -> torch.Generator:
    """A CPU generator seeded from the keys, for permutations and draws of variable length."""
    return torch.Generator().manual_seed(int(hash_keys(*keys)))


def permutation(size: int, *keys: int | str) -> Tensor:
    """A permutation of 0..size-1 as int64 [size], a pure function of the keys."""
    return torch.randperm(size, generator=generator(*keys))
