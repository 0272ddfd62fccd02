"""Evaluation on held-out problems: greedy accuracy, avg@n, maj@n, pass@k and Cover@tau, by set."""

from collections.abc import Callable, Iterable, Sequence

from lightning.pytorch.utilities.rank_zero import rank_zero_warn

from lit_entropy.distributed.ranks import Ranks
from lit_entropy.evaluation.decode import Responder, decode_responses
from lit_entropy.evaluation.ranks import Batch, in_step
from lit_entropy.evaluation.records import Record, Response, Shown, make_record
from lit_entropy.evaluation.sampling import Sampling, SetSampling, require_sampling
from lit_entropy.evaluation.sets import check_sources, group_by_source, mean_of_sets, source_key
from lit_entropy.evaluation.summary import summarise
from lit_entropy.functional.cover import required_count
from lit_entropy.types import Problem

__all__ = ["Evaluation", "SetSampling"]


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
        cover_tau: tuple[float, ...] = (0.2, 0.8),
        sets: dict[str, SetSampling] | None = None,
    ) -> None:
        """Set the sampling of the evaluation.

        Args:
            samples: responses per problem (n) for avg@n and pass@k, beside the greedy one; 0 for
                greedy decoding only.
            temperature: sampling temperature of those responses.
            pass_k: values of k for the unbiased pass@k (2107.03374); best with n >= 2k.
            max_new_tokens: longest response; by default that of training.
            sampling: which validations of a fit sample these responses: ``always`` all; ``ends``
                that of the base (row 0) and the last one alone, those between are greedy, so that
                they may be dense and cheap. Outside a fit every evaluation samples.
            cover_tau: success rates of Cover@tau (2510.08325): the share of problems that are
                solved at least that often.
            sets: another sampling for the problems of a source, by its name (``Problem.source``);
                sources not named are answered greedily and sampled as set above.
        """
        default = SetSampling(samples, temperature, True, max_new_tokens)
        default.check("evaluation")
        self.sets: dict[str, SetSampling] = {}
        for name, own in (sets or {}).items():
            own.check(f"evaluation.sets.{name}")
            self.sets[name] = own.with_limit(max_new_tokens)
        require_sampling(sampling)
        most = max([samples, *(own.samples for own in self.sets.values())])
        ks = pass_k if most else ()
        if any(not 1 <= k <= most for k in ks):
            raise ValueError(
                f"evaluation.pass_k={list(pass_k)}: pass@k needs 1 <= k <= samples={most}; "
                "raise evaluation.samples or drop the larger k"
            )
        if any(2 * k > most for k in ks if k > 1):
            rank_zero_warn(f"pass@k is noisy for n < 2k: n={most}, k={max(ks)}", stacklevel=5)
        for tau in cover_tau:
            required_count(1, tau)  # names a tau outside [0, 1]
        self.default = default
        self.samples = samples
        self.pass_k = tuple(ks)
        self.cover_tau = tuple(cover_tau)
        self.sampling = sampling

    def limits(self) -> dict[str, int]:
        """The response lengths that are set here, by name."""
        every = {"evaluation": self.default}
        every |= {f"evaluation.sets.{name}": own for name, own in self.sets.items()}
        return {
            f"{name}.max_new_tokens": own.max_new_tokens
            for name, own in every.items()
            if own.max_new_tokens is not None
        }

    def sampling_of(self, source: str) -> SetSampling:
        """The sampling of a source's problems."""
        return self.sets.get(source, self.default)

    @property
    def samples_at_all(self) -> bool:
        """Whether any problem may be sampled."""
        return bool(self.samples or any(own.samples for own in self.sets.values()))

    def check_sources(self, problems: Iterable[Problem]) -> None:
        """Raise ValueError where ``sets`` and the held-out problems do not fit each other."""
        check_sources(self.sets, {problem.source for problem in problems})

    def run(
        self, responder: Responder, problems: Batch, sampling: bool, peers: Sequence[Batch] = ()
    ) -> list[Record]:
        """Evaluate problems; one record each.

        A problem whose set is sampled only has no record where ``sampling`` is False.

        Args:
            responder: samples and rewards.
            problems: this rank's.
            sampling: whether responses are sampled beside the greedy one.
            peers: every rank's problems, where all ranks must make the same calls.
        """
        return _answers(responder, problems, peers, self.sampling_of, sampling)

    def greedy(
        self, responder: Responder, problems: Batch, peers: Sequence[Batch] = ()
    ) -> list[Record]:
        """Greedy responses; one record per problem, without the numbers of sampling."""

        def how(source: str) -> SetSampling:
            return SetSampling(0, 1.0, True, self.sampling_of(source).max_new_tokens)

        return _answers(responder, problems, peers, how, sampling=False)

    def gather(self, records: list[Record], ranks: Ranks) -> list[Record]:
        """The records of all ranks, ordered by source, difficulty and problem id."""
        every = [record for part in ranks.gather_objects(records) for record in part]
        return sorted(every, key=lambda record: (record.source, record.difficulty, record.id))

    def summarise(self, records: list[Record]) -> dict[str, float]:
        """Scores and rates over all problems; with more than one source also those of each.

        ``mean_of_sets`` is the plain mean over the sources of each one's headline score: avg@n
        where it is sampled, else greedy accuracy (Table 2 of 2505.22617). It is left out where a
        set was not sampled in this validation.
        """
        values = summarise(records, self.pass_k, self.cover_tau)
        by_source = group_by_source(records)
        if len(by_source) < 2:
            return values
        parts = {
            source: summarise(own, self.pass_k, self.cover_tau, by_difficulty=False)
            for source, own in by_source.items()
        }
        for source, part in parts.items():
            values |= {f"{source_key(source)}/{key}": value for key, value in part.items()}
        headlines = {source: self.sampling_of(source).headline for source in parts}
        return values | mean_of_sets(parts, headlines)


def _answers(
    responder: Responder,
    problems: Batch,
    peers: Sequence[Batch],
    how: Callable[[str], SetSampling],
    sampling: bool,
) -> list[Record]:
    """The records of problems, of which those of a source are answered as ``how`` says of it."""
    everyone = [problem for peer in peers or [problems] for problem in peer]
    records: dict[int, Record] = {}
    for own in dict.fromkeys(how(problem.source) for problem in everyone):
        if not (own.greedy or (own.samples and sampling)):
            continue
        index = [row for row, problem in enumerate(problems) if how(problem.source) == own]
        asked = in_step(
            [problems[row] for row in index],
            [[problem for problem in peer if how(problem.source) == own] for peer in peers],
        )
        part = answer(responder, asked, own, own.samples if sampling else 0)
        records |= dict(zip(index, part, strict=False))  # repeated problems have no record
    return [records[row] for row in sorted(records)]


def answer(
    responder: Responder, problems: Batch, sampling: SetSampling, count: int
) -> list[Record]:
    """The records of problems that are sampled alike.

    Args:
        responder: samples and rewards.
        problems: the problems.
        sampling: how they are answered.
        count: sampled responses per problem, now; 0 for the greedy one alone.
    """
    limit = sampling.max_new_tokens
    greedy: list[Response | None] = [None] * len(problems)
    if sampling.greedy:
        greedy = [*decode_responses(responder, problems, 1, 0.0, limit)]
    sampled: list[Response] = []
    if count:
        sampled = decode_responses(responder, problems, count, sampling.temperature, limit)
    records = []
    for index, (problem, response) in enumerate(zip(problems, greedy, strict=True)):
        own = sampled[index * count : (index + 1) * count]
        full = response or own[0]
        prompt = responder.prompt_text(full.prompt)
        shown = Shown(full.text, full.reward, full.correct, prompt, problem.difficulty)
        records.append(make_record(problem, response, own, shown))
    return records
