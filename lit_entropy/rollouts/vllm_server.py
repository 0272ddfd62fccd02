"""Rollouts from a separate vLLM server, which is given the policy's weights through a folder."""

import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
import torch.distributed
from torch import Tensor

from lit_entropy.functional.checks import require_seconds
from lit_entropy.policy.policy import Policy
from lit_entropy.rollouts.base import RolloutEngine
from lit_entropy.rollouts.responses import Response, row_seeds, to_completions
from lit_entropy.rollouts.vllm_http import Server, ServerError
from lit_entropy.rollouts.weights import (
    StaleWeightsError,
    fingerprint,
    require_same_weights,
    write_weights,
)
from lit_entropy.types import Completions


class VLLMServerEngine(RolloutEngine):
    """A client of ``vllm serve``.

    Changed weights are written to ``weights_folder``, loaded by the server and labelled with their
    fingerprint; the label is compared before every rollout, and the log-probs of the first rows
    after every change. The endpoints for this exist under ``VLLM_SERVER_DEV_MODE=1`` only and obey
    whoever reaches them: keep the server in a private network. Without ``weights_folder`` the
    server's weights are fixed, which serves an evaluation.

    Attributes:
        version: how many times weights were handed over.
    """

    def __init__(
        self,
        url: str = "http://localhost:8000",
        model: str | None = None,
        weights_folder: str | None = None,
        max_connections: int = 256,
        timeout: float = 1800.0,
        gap_tolerance: float = 0.1,
    ) -> None:
        """Name the server; it is asked for its model before the run.

        Args:
            url: address of the server.
            model: name under which it serves the model; None for its only one.
            weights_folder: folder that trainer and server see under the same path, where weights
                are handed over; None for a server whose weights stay.
            max_connections: most requests at once.
            timeout: seconds until an unanswered request ends the run.
            gap_tolerance: largest mean difference of log-probs, in nats per token, that other
                kernels and precision may make: about 1e-4 for float32, 0.05 for bfloat16.

        Raises:
            ValueError: a value is out of range.
        """
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"model.engine.url={url!r} must start with http:// or https://")
        require_seconds("model.engine.timeout", timeout)
        if not gap_tolerance > 0:
            raise ValueError(f"model.engine.gap_tolerance={gap_tolerance} must be positive")
        if max_connections < 1:
            raise ValueError(f"model.engine.max_connections={max_connections} must be at least 1")
        self.server = Server(url, timeout)
        self.model = model
        self.weights_folder = weights_folder
        self.max_connections = max_connections
        self.gap_tolerance: float = gap_tolerance
        self.version = 0
        self._held: int | None = None
        self._proved = False

    def setup(self, policy: Policy) -> None:
        """Check that the server answers, serves the model and can be given weights.

        Raises:
            ValueError: names what is wrong and how to start the server.
        """
        self.model = self.server.model(self.model)
        if self.weights_folder is not None:
            if not Path(self.weights_folder).is_dir():
                raise ValueError(
                    f"model.engine.weights_folder={self.weights_folder!r} is no folder: make one "
                    "that trainer and server see under this path"
                )
            self.server.weights_label()

    @torch.no_grad()
    def prepare(self, policy: Policy) -> None:
        """Give the server the policy's weights, if they have changed."""
        current = fingerprint(policy)
        if current == self._held:
            self._check_label(current)
            return
        if self.weights_folder is not None:
            self._hand_over(policy, current)
        elif self._held is not None:
            raise StaleWeightsError(
                f"the policy's weights have changed and those of {self.server.url} stay: set "
                "model.engine.weights_folder to a folder that trainer and server share"
            )
        self._held, self._proved = current, False

    @torch.no_grad()
    def generate(
        self,
        policy: Policy,
        prompts: list[list[int]],
        prompt_ids_B: Tensor,
        sample_ids_B: Tensor,
        *,
        max_new_tokens: int,
        temperature: float,
        keys: tuple[int | str, ...],
    ) -> Completions:
        """Sample one response for each row; see :class:`RolloutEngine`.

        Raises:
            StaleWeightsError: the server has other weights than the policy.
            ServerError: the server refused a request.
            ConnectionError: the server did not answer.
        """
        self.prepare(policy)
        seeds, stop_ids = row_seeds(keys, prompt_ids_B, sample_ids_B), list(policy.eos_token_ids)
        common = {
            "model": self.model,
            "max_tokens": max_new_tokens,
            "temperature": temperature,
            "stop_token_ids": stop_ids,
            "logprobs": 0,  # of the sampled token alone
            "return_token_ids": True,
            # said, because the model's generation config may hold other defaults
            **{"top_p": 1.0, "top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0},
        }
        bodies = [
            common | {"prompt": prompt} | ({"seed": seed} if temperature > 0 else {})
            for prompt, seed in zip(prompts, seeds, strict=True)
        ]
        with ThreadPoolExecutor(self.max_connections) as pool:
            responses = list(pool.map(lambda body: self._complete(body, stop_ids), bodies))
        device = next(policy.parameters()).device
        completions = to_completions(responses, policy.pad_token_id, device)
        if not self._proved:
            require_same_weights(
                policy, prompts, completions, temperature, self.gap_tolerance, self.server.url
            )
            self._proved = True
        return completions

    def _complete(self, body: Mapping[str, object], stop_ids: Sequence[int]) -> Response:
        try:
            choice = self.server.request("/v1/completions", body)["choices"][0]
            tokens, logprobs = choice["token_ids"], choice["logprobs"]["token_logprobs"]
            truncated = choice["finish_reason"] == "length"
        except (KeyError, IndexError, TypeError) as error:
            wanted = "return_token_ids and log-probs"
            raise ServerError(f"{self.server.url} does not know {wanted}: {error!r}") from error
        if not truncated and tokens[-1:] and tokens[-1] not in stop_ids:
            raise ServerError(
                f"{self.server.url} ended a response at token {tokens[-1]}, which does not end the "
                f"policy's ({stop_ids}): start it with --generation-config vllm"
            )
        return Response(tokens, logprobs, truncated)

    def _hand_over(self, policy: Policy, current: int) -> None:
        """Every rank takes part in gathering the weights; the first one writes and sends them."""
        assert self.weights_folder is not None
        ranks = torch.distributed.is_initialized()
        first = not ranks or torch.distributed.get_rank() == 0
        # whole: the server may have been started in another folder
        folder = Path(self.weights_folder).absolute() / f"weights-{_label(current)}"
        try:
            write_weights(policy, folder if first else None)
            if first:
                self.server.load_weights(str(folder), _label(current))
        finally:
            if first:
                shutil.rmtree(folder, ignore_errors=True)
        if ranks:
            torch.distributed.barrier()
        self.version += 1

    def _check_label(self, current: int) -> None:
        label = None if self.weights_folder is None else self.server.weights_label()
        if label not in (None, _label(current)):
            raise StaleWeightsError(
                f"{self.server.url} has the weights {label!r}, and this run gave it "
                f"{_label(current)!r}: the server must be this run's alone"
            )


def _label(current: int) -> str:
    """The name of a fingerprint."""
    return f"{current % 2**64:016x}"
