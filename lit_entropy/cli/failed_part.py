"""What to say of a part of the user's own that failed while a run was under way."""

import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, TracebackType

#: Packages whose code is no part of the user's own.
_LIBRARIES = {
    __name__.partition(".")[0], "lightning", "lightning_utilities", "lightning_fabric", "torch",
    "torchmetrics", "triton", "transformers", "tokenizers", "safetensors", "huggingface_hub",
    "peft", "accelerate", "datasets", "pyarrow", "pandas", "numpy", "scipy", "sympy", "matplotlib",
    "omegaconf", "jsonargparse", "rich", "wandb", "vllm",
} | sys.stdlib_module_names  # fmt: skip
_SHOWN = 3  # calls
_LONGEST = 600  # characters


def failed_part(error: BaseException, said: str = "") -> str | None:
    """The calls within a part, and in the last line its name and error; None without such a part.

    Args:
        error: as it left the run, with its traceback.
        said: of it, in place of its own words.
    """
    calls = list(_calls(error.__traceback__))
    first = next((frame for frame, _ in calls if _is_own(frame)), None)
    if first is None:
        return None
    name = f"{_module(first)}.{first.f_code.co_qualname}"
    calls = [call for call in calls if _package(call[0]) == _package(first)]
    places = [
        f"  {Path(frame.f_code.co_filename).name}, line {line}, in {frame.f_code.co_name}"
        for frame, line in calls[-_SHOWN:]
    ]
    said = said or "".join(traceback.format_exception_only(error)[-1:])
    said = " ".join(said.split())
    if len(said) > _LONGEST:
        said = f"{said[:_LONGEST]} ..."
    return "\n".join([f"{name} failed", *places, f"{name}: {said} (--debug shows the traceback)"])


def _calls(trace: TracebackType | None) -> Iterator[tuple[FrameType, int]]:
    while trace is not None:
        yield trace.tb_frame, trace.tb_lineno
        trace = trace.tb_next


def _is_own(frame: FrameType) -> bool:
    """Whether a call is in code that no library brings."""
    return _package(frame) not in _LIBRARIES and _module(frame) != "__main__"


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__"))


def _package(frame: FrameType) -> str:
    return _module(frame).partition(".")[0]
