"""Freed memory is kept: fewer pages are cleared, and a user's own choice stands."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

GLIBC = platform.libc_ver()[0] == "glibc"
#: Makes and frees eight tensors of 4 MB twenty times; prints the pages that were new.
PROGRAM = """
import resource
from lit_entropy.cli.allocator import keep_freed_memory
print(keep_freed_memory())
import torch
def pages():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def work():
    kept = [torch.ones(1_000_000) for _ in range(8)]
for _ in range(3):
    work()
before = pages()
for _ in range(20):
    work()
print(pages() - before)
"""


def run(**variables: str) -> tuple[bool, int]:
    ours = ("MALLOC_", "GLIBC_TUNABLES", "LD_PRELOAD")
    env = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
    output = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=env | variables, check=True, capture_output=True
    ).stdout.split()
    return output[0] == b"True", int(output[1])


@pytest.mark.skipif(not GLIBC, reason="other C libraries have no such setting")
def test_pages_are_used_again() -> None:
    kept, pages = run()
    # 20 x 8 x 4 MB are 156,250 pages of 4 kB
    assert kept and pages < 1_000


@pytest.mark.parametrize(
    "variables",
    [
        {"MALLOC_TRIM_THRESHOLD_": "131072"},
        {"MALLOC_MMAP_THRESHOLD_": "131072"},
        {"GLIBC_TUNABLES": "glibc.malloc.trim_threshold=131072"},
    ],
)
def test_what_a_user_has_set_stands(variables: dict[str, str]) -> None:
    kept, pages = run(**variables)
    assert not kept
    assert pages > 10_000 or not GLIBC


def test_a_library_without_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    from lit_entropy.cli import allocator

    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda name: object())
    assert allocator.keep_freed_memory() is False
