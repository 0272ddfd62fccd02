"""Evaluation on held-out problems: greedy accuracy, avg@n and unbiased pass@k."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed
from torch import Tensor

from lit_entropy.collection import answer_codes, score
from lit_entropy.errors import ensure_finite
from lit_entropy.functional.answer_entropy import answer_entropy
from lit_entropy.functional.pass_at_k import pass_at_k, standard_error
from lit_entropy.sampling_plan import Sampling, require_sampling, samples_now
from lit_entropy.types import Problem

if TYPE_CHECKING:
    from lit_entropy.evaluated import EvaluatedModule

Record = dict[str, Any]


class Evaluation:
    """How held-out problems are evaluated.

    The random numbers are the same at every validation of every run, so that differences between
    policies are paired.
    """

    def __init__(
        self,
        samples: int = 8,
        temperature: float = 1.0,
        pass_k: tuple[int, ...] = (2, 4),
        max_new_tokens: int | None = None,
        sampling: Sampling = "always",
    ) -> None:
        """Set the sampling of the evaluation.

        Args:
            samples: responses a problem (n) for avg@n and pass@k, beside the greedy one; 0 for
                greedy decoding only.
            temperature: sampling temperature of those responses.
            pass_k: values of k for the unbiased pass@k (2107.03374); best with n >= 2k.
            max_new_tokens: longest response; by default that of training.
            sampling: which validations of a fit sample these responses: ``always`` all; ``ends``
                that of the base (row 0) and the last one alone, those between are greedy, so that
                they may be dense and cheap. Outside a fit every evaluation samples.
        """
        if samples < 0:
            raise ValueError(f"evaluation.samples={samples} must not be negative")
        if temperature <= 0:
            raise ValueError(f"evaluation.temperature={temperature} must be positive")
        if max_new_tokens is not None and max_new_tokens < 1:
            raise ValueError(f"evaluation.max_new_tokens={max_new_tokens} must be at least 1")
        require_sampling(sampling)
        ks = pass_k if samples else ()
        if any(not 1 <= k <= samples for k in ks):
            raise ValueError(
                f"evaluation.pass_k={list(pass_k)}: pass@k needs 1 <= k <= samples={samples}; "
                "raise evaluation.samples or drop the larger k"
            )
        if any(2 * k > samples for k in ks if k > 1):
            warnings.warn(f"pass@k is noisy for n < 2k: n={samples}, k={max(ks)}", stacklevel=2)
        self.samples = samples
        self.temperature = temperature
        self.pass_k = ks
        self.max_new_tokens = max_new_tokens
        self.sampling = sampling

    def run(self, module: EvaluatedModule, problems: Sequence[Problem]) -> list[Record]:
        """Evaluate problems; one record each, of plain numbers and strings."""
        records = self.greedy(module, problems)
        if self.samples and samples_now(self.sampling, module.trainer, module.rl_step):
            rows = self._decode(module, problems, self.samples, self.temperature)
            for index, record in enumerate(records):
                own = rows[index * self.samples : (index + 1) * self.samples]
                record["correct_count"] = sum(row["correct"] for row in own)
                record["entropy_total"] = sum(row["entropy"] for row in own)
                record["tokens"] = sum(row["length"] for row in own)
                if "answer" in own[0]:
                    codes_1G = torch.tensor([[row["answer"] for row in own]])
                    record["answer_entropy"] = float(answer_entropy(codes_1G))
        return records

    def greedy(self, module: EvaluatedModule, problems: Sequence[Problem]) -> list[Record]:
        """Greedy responses; one record a problem, without the numbers of sampling."""
        decode = module.policy.tokenizer.decode
        records = []
        for problem, row in zip(problems, self._decode(module, problems, 1, 0.0), strict=True):
            sample = {key: row[key] for key in ("response", "reward", "correct")}
            sample |= {"prompt": decode(row["prompt"]), "difficulty": problem.difficulty}
            record = {"id": problem.id, "difficulty": problem.difficulty, "sample": sample}
            record |= {"accuracy": float(row["correct"]), "length": row["length"]}
            records.append(record | {"truncated": float(row["truncated"])})
        return records

    def _decode(
        self, module: EvaluatedModule, problems: Sequence[Problem], count: int, temperature: float
    ) -> list[Record]:
        """Sample ``count`` responses a problem; one row a response, problem by problem."""
        data: Any = module.trainer.datamodule  # type: ignore[attr-defined]
        rows = [problem for problem in problems for _ in range(count)]
        encoded = data.encode(problems, module.policy.tokenizer)
        prompts = [tokens for tokens in encoded for _ in range(count)]
        limit = module.max_new_tokens if self.max_new_tokens is None else self.max_new_tokens
        with module.forward_context():
            completions = module.rollout.generate(
                module.policy,
                prompts,
                torch.tensor([problem.id for problem in rows]),
                torch.arange(len(rows)) % count,
                max_new_tokens=limit,
                temperature=temperature,
                keys=("evaluation",),
            )
        ensure_finite("log-probs of the evaluation", completions.logprobs_BT, module.rl_step)
        texts = module.policy.decode(completions.tokens_BT, completions.mask_BT)
        rewards, correct = score(data.task, rows, texts, module.rl_step)
        columns = {
            "prompt": prompts,
            "response": texts,
            "reward": rewards,
            "correct": correct,
            "length": completions.mask_BT.sum(1).tolist(),
            "entropy": completions.entropies_BT.double().sum(1).tolist(),
            "truncated": completions.truncated_B.tolist(),
        }
        answers_B = answer_codes(data.task, texts)
        if answers_B is not None:
            columns["answer"] = answers_B.tolist()
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    def gather(self, records: list[Record]) -> list[Record]:
        """The records of all ranks, ordered by difficulty and problem id."""
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            parts: list[list[Record]] = [[] for _ in range(torch.distributed.get_world_size())]
            torch.distributed.all_gather_object(parts, records)
            records = [record for part in parts for record in part]
        return sorted(records, key=lambda record: (record["difficulty"], record["id"]))

    def summarise(self, records: list[Record]) -> dict[str, float]:
        """Means over problems, their standard errors, and the split by difficulty.

        Standard errors are clustered by problem (2411.00640): the spread over problems of the mean
        over a problem's samples, divided by the root of the number of problems.
        """
        scores = {"accuracy": torch.tensor([r["accuracy"] for r in records], dtype=torch.float64)}
        values: dict[str, float] = {}
        if "correct_count" in records[0]:  # they were sampled
            correct = torch.tensor([record["correct_count"] for record in records])
            scores[f"avg@{self.samples}"] = correct.double() / self.samples
            for k in self.pass_k:
                scores[f"pass@{k}"] = pass_at_k(correct, self.samples, k)
            tokens = sum(record["tokens"] for record in records)
            values["entropy"] = sum(record["entropy_total"] for record in records) / tokens
        if "answer_entropy" in records[0]:
            total = sum(record["answer_entropy"] for record in records)
            values["answer_entropy"] = total / len(records)
        difficulty_N = torch.tensor([record["difficulty"] for record in records])
        for name, score_N in scores.items():
            values |= mean_and_error(score_N, name, "")
            for level in difficulty_N.unique().tolist():
                values |= mean_and_error(
                    score_N[difficulty_N == level], name, f"/difficulty_{level}"
                )
        for name in ("length", "truncated"):
            values[name] = sum(record[name] for record in records) / len(records)
        return values


def mean_and_error(score_N: Tensor, name: str, suffix: str) -> dict[str, float]:
    """``name``: the mean over problems; ``name_se``: its standard error, from two problems on."""
    values = {name + suffix: float(score_N.mean())}
    if len(score_N) > 1:
        values[f"{name}_se{suffix}"] = float(standard_error(score_N))
    return values
