"""Recording of decoding steps as CUDA graphs."""

import torch
from torch import Tensor

from lit_entropy.rollouts.recorded import Step


class CudaGraphs:
    """Records steps on the current GPU; see :data:`lit_entropy.rollouts.recorded.Record`."""

    def __init__(self) -> None:
        self.stream = torch.cuda.Stream()

    def __call__(self, step: Step) -> Step:
        """What repeats a step."""
        return CudaGraph(self.stream, step)


class CudaGraph:
    """A step that first runs as it stands, is then recorded, and launched from there on.

    The first run is for libraries, which choose and load what its shapes need: that must not
    happen in a recording. Each graph has memory of its own: its last logits may outlive it.
    """

    def __init__(self, stream: torch.cuda.Stream, step: Step) -> None:
        """Take a step that is to be recorded on a stream."""
        self.stream, self.step = stream, step
        self._warm = False
        self._recorded: tuple[torch.cuda.CUDAGraph, Tensor] | None = None

    def __call__(self) -> Tensor:
        """Take the step once: logits [B, V]."""
        if not self._warm:
            self._warm = True
            return self._as_it_stands()
        if self._recorded is None:
            self._recorded = self._record()
        graph, logits_BV = self._recorded
        graph.replay()
        return logits_BV

    def _as_it_stands(self) -> Tensor:
        current = torch.cuda.current_stream()
        self.stream.wait_stream(current)
        with torch.cuda.stream(self.stream):
            logits_BV = self.step()
        current.wait_stream(self.stream)
        logits_BV.record_stream(current)
        return logits_BV

    def _record(self) -> tuple[torch.cuda.CUDAGraph, Tensor]:
        graph = torch.cuda.CUDAGraph()
        # threads of NCCL and of pinned copies go on meanwhile: they must not break the recording
        with torch.cuda.graph(graph, stream=self.stream, capture_error_mode="thread_local"):
            logits_BV = self.step()
        return graph, logits_BV
