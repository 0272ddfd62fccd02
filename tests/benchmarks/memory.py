"""Memory of this process as Linux counts it."""

from __future__ import annotations

from pathlib import Path


def resident_bytes() -> float:
    """Bytes in memory now."""
    return _status("VmRSS")


def peak_bytes() -> float:
    """Most bytes in memory since :func:`start_peak`, or since the program started."""
    return _status("VmHWM")


def start_peak() -> None:
    """Count the peak from here on."""
    Path("/proc/self/clear_refs").write_text("5")


def _status(name: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return 1024.0 * int(line.split()[1])
    raise OSError(f"/proc/self/status has no {name}: memory is measured on Linux alone")
