"""The program of the jailed process: reads requests from a socket and answers them.

It is run as a file and imports the standard library and the package that checks, nothing of this
one. The process imports once and forks a worker, which has limits on memory and time and does the
work; where a worker dies it reports how and forks the next, warm and within milliseconds.
Messages are JSON, so that neither side ever unpickles what the other wrote.
"""

import functools
import json
import math
import mmap
import os
import resource
import signal
import sys
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

#: A request or a reply: one JSON object.
Message = dict[str, Any]
Check = Callable[[Message], Message]

#: Kinds of sympy's expressions that hold numbers to compare one by one.
COLLECTIONS = ("FiniteSet", "Tuple", "Interval", "Equality", "And", "MutableDenseMatrix")
#: How often an idle process looks whether its parent is still there, seconds.
PATROL = 1.0
#: Exit code of a worker that has done its number of requests.
RECYCLED = 3


def load_math_verify() -> Check:
    """The checker of mathematics, after one comparison that shows that it works."""
    import logging

    from latex2sympy2_extended import NormalizationConfig
    from math_verify import LatexExtractionConfig, parse, verify

    logging.disable(logging.CRITICAL)
    # Units are left out before: math-verify's list of them would make 4 of 4t.
    normal = NormalizationConfig(malformed_operators=True, nits=True)
    config = [LatexExtractionConfig(boxed_match_priority=0, normalization_config=normal)]

    def read(text: str, whole: bool = False) -> list[object]:
        """Expressions of an answer, or those that math-verify itself finds in a whole text."""
        if whole:
            return list(parse(text, parsing_timeout=None, raise_on_error=True))
        text = "\\boxed{" + text + "}"
        return list(parse(text, config, parsing_timeout=None, raise_on_error=True))

    @functools.lru_cache(4096)
    def read_gold(text: str) -> tuple[list[object], int]:
        golds = read(text)
        return golds, decimals(golds)

    def equal(golds: Sequence[object], places: int, answers: Sequence[object]) -> bool:
        failure: Exception | None = None
        for gold in golds:
            for answer in answers:
                try:
                    same = near(gold, answer)
                    if same is None:
                        same = verify(
                            gold, answer, places, timeout_seconds=None, raise_on_error=True
                        )
                    if same:
                        return True
                except MemoryError:
                    raise
                except Exception as error:
                    failure = error
        if failure is not None:
            raise failure
        return False

    def holds_expression(found: Sequence[object]) -> bool:
        return any(not isinstance(item, str) for item in found)

    def check(request: Message) -> Message:
        golds, places = read_gold(request["gold"])
        if not holds_expression(golds):
            return {"gold": False}
        if request["answer"] is None:  # the gold answer itself is in question
            return {"gold": True, "verdict": equal(golds, places, golds)}
        try:
            answers = read(request["answer"], request["whole"])
        except (MemoryError, RecursionError):
            raise
        except Exception:
            answers = []
        return {"verdict": equal(golds, places, answers), "read": holds_expression(answers)}

    # also warms the parser, whose first reading of each construct is slow
    for text in ("\\frac{1}{2}", "\\sqrt{2}", "x=5", "(1,2)", "\\{1,2\\}", "3\\pi x^2+1", "1.5"):
        if not check({"gold": text, "answer": text, "whole": False})["verdict"]:
            raise RuntimeError(f"math_verify does not find {text} equal to itself")
    return check


def number(value: Any) -> complex | None:
    """The value of a numeric expression of sympy; None of anything else, a percentage included."""
    if not getattr(value, "is_number", False) or "UnevaluatedExpr" in map(_name, value.args):
        return None
    try:
        return complex(value.evalf(20))
    except (TypeError, ValueError, OverflowError):
        return None


def _name(value: object) -> str:
    return type(value).__name__


def decimals(golds: Sequence[object]) -> int:
    """Decimals to compare with: six, and six significant digits of the smallest number."""
    smallest = 1.0
    rest: list[Any] = list(golds)
    while rest:
        item = rest.pop()
        value = number(item)
        if value is not None and 0 < abs(value) < smallest:
            smallest = abs(value)
        elif _name(item) in COLLECTIONS:
            rest += item.flat() if hasattr(item, "flat") else item.args
    return 6 if smallest == 1.0 else 5 - math.floor(math.log10(smallest))


def near(gold: Any, answer: Any) -> bool | None:
    """Whether two numbers agree as decimals do; None where the question does not arise.

    It arises where one is a decimal, and for numbers below 1: math-verify takes differences below
    1e-15 for none.
    """
    one, other = number(gold), number(answer)
    if one is None or other is None:
        return None
    if not (0 < abs(one) < 1 or "." in str(gold) + str(answer)):
        return None
    # of large numbers the rounding of float64 is more than six decimals
    return abs(one - other) <= max(1.0001e-6 * min(1.0, abs(one)), 1e-12 * abs(one))


def load_reasoning_gym() -> Check:
    """The scorer of reasoning-gym, which may execute text of the answer."""
    import reasoning_gym

    @functools.lru_cache(8)
    def dataset(recipe: str) -> Any:
        name, parameters = json.loads(recipe)
        return reasoning_gym.create_dataset(name, **parameters)

    def check(request: Message) -> Message:
        items = dataset(request["dataset"])
        item = items[request["index"]]
        if item["question"] != request["question"]:  # made with another hash seed, say
            return {"same": False}
        score = float(items.score_answer(request["answer"], item))
        return {"score": score} if 0.0 <= score <= 1.0 else {"failure": "error"}

    return check


LOADERS = {"math_verify": load_math_verify, "reasoning_gym": load_reasoning_gym}


def set_limits(memory_bytes: int) -> None:
    """Limits that the work itself cannot lift, unless it is root's; root may also fork."""
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))


def work(connection: Connection, check: Check, setup: Message, busy: mmap.mmap) -> None:
    """Answer requests until the other side is gone; ends by ``os._exit``."""
    parent = os.getppid()
    set_limits(setup["memory_bytes"])
    for _ in range(setup["requests_a_worker"]):
        while not connection.poll(PATROL):
            if os.getppid() != parent:
                os._exit(0)
        request = json.loads(connection.recv_bytes())
        busy[:8] = request["id"].to_bytes(8, "little")
        # processor time, so that a busy machine changes no verdict; the default action of the
        # signal ends the process even inside a long computation of the interpreter's own code
        signal.setitimer(signal.ITIMER_PROF, setup["cpu_seconds"])
        try:
            reply = check(request)
        except MemoryError:
            reply = {"failure": "memory"}
        except Exception as error:
            reply = {"failure": "error", "message": type(error).__name__}
        signal.setitimer(signal.ITIMER_PROF, 0)
        connection.send_bytes(json.dumps({"id": request["id"], **reply}).encode())
        busy[:8] = bytes(8)
    os._exit(RECYCLED)


def run_worker(connection: Connection, check: Check, setup: Message, busy: mmap.mmap) -> int:
    """Fork a worker and wait for its end; returns its exit code, negative for a signal."""
    parent = os.getppid()
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(reader)
            work(connection, check, setup, busy)
        except BaseException:  # the other side is gone, or nothing can be sent any more
            os._exit(0 if not any(busy[:8]) else 1)
    os.close(writer)
    end = Connection(reader, writable=False)
    while not wait([end], PATROL):  # the pipe closes when the worker ends
        if os.getppid() != parent:
            os.kill(pid, signal.SIGKILL)
    end.close()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def main() -> None:
    """Import, say that it works, then keep a worker alive."""
    connection = Connection(int(sys.argv[1]))
    parent = os.getppid()
    setup = json.loads(connection.recv_bytes())
    sys.path[:] = setup["path"]
    check = LOADERS[setup["kind"]]()  # compiled modules are kept: uncompiled it takes seconds
    sys.dont_write_bytecode = True  # a worker imports what is left, and may write nothing
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    busy = mmap.mmap(-1, 8)  # id of the request under way, shared with the worker
    connection.send_bytes(b'{"id": 0, "ready": true}')
    while os.getppid() == parent:
        code = run_worker(connection, check, setup, busy)
        request, busy[:8] = int.from_bytes(busy[:8], "little"), bytes(8)
        if code == 0:
            return
        if request:
            failure = "timeout" if code == -signal.SIGPROF else "crashed"
            message = {"id": request, "failure": failure, "message": f"exit code {code}"}
            connection.send_bytes(json.dumps(message).encode())


if __name__ == "__main__":
    main()
