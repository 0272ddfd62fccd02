"""The arithmetic of the counter-based random numbers, on int64 of torch and of numpy alike."""

import hashlib
from typing import Any

_MIX_1 = 0xBF58476D1CE4E5B9 - (1 << 64)  # constants of splitmix64 (Steele et al., 2014), as int64
_MIX_2 = 0x94D049BB133111EB - (1 << 64)
_GOLDEN = 0x9E3779B97F4A7C15 - (1 << 64)


def key_number(key: str) -> int:
    """A text as a signed number of 64 bits."""
    digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


def shift_right(value: Any, bits: int) -> Any:
    """Logical right shift; int64 is shifted arithmetically."""
    return (value >> bits) & ((1 << (64 - bits)) - 1)


def absorb(state: Any, key: Any) -> Any:
    """The state after one more key, both int64; they broadcast against each other."""
    value = state + key * _GOLDEN + _GOLDEN
    value = (value ^ shift_right(value, 30)) * _MIX_1
    value = (value ^ shift_right(value, 27)) * _MIX_2
    return value ^ shift_right(value, 31)
