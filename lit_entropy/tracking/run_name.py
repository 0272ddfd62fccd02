"""What a run is called after: its experiment, what was changed, and the seed."""

import json
import posixpath
import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from hashlib import blake2b

#: Changes that a name spells out; of more, their number stands in it.
SPELT = 4
#: Longest value in a name, characters.
LONGEST = 24
#: The same of a class with its module, ``my_ablation.ConfidentTokens``.
LONGEST_CLASS = 40
#: Dotted patterns of keys that no name holds: they change what is shown, measured or kept, and
#: how long it goes on, but not what is trained.
UNNAMED: tuple[str, ...] = (
    "config", "ckpt_path", "checkpoints", "verbose", "return_predictions", "weights_only",
    "print_config", "seed_everything", "run", "checkpoint", "model.evaluation",
    "data.validation_batch", "data.task.validation_*", "trainer.callbacks", "trainer.logger",
    "trainer.max_*", "trainer.min_*", "trainer.accelerator", "trainer.strategy", "trainer.devices",
    "trainer.num_nodes", "trainer.default_root_dir", "trainer.log_every_n_steps",
    "trainer.check_val_every_n_epoch", "trainer.limit_*", "trainer.profiler", "trainer.enable_*",
    "trainer.num_sanity_val_steps", "trainer.use_distributed_sampler", "trainer.fast_dev_run",
    "trainer.inference_mode",
)  # fmt: skip

_SEED = re.compile(r"-seed(\d+)(?:-\d+)?$")
_CLASS = re.compile(r"(?:\w+\.)*_*[A-Z]\w*")
_WORDS = ("true", "false", "null", "none", "nan", "inf")
_PUBLIC = ("lit_entropy", "torch", "lightning", "transformers")


def is_named(key: str) -> bool:
    """Whether a key that is set belongs into the name of a run."""
    return not any(fnmatchcase(key, p) or fnmatchcase(key, f"{p}[.+]*") for p in UNNAMED)


def part(key: str, value: str) -> str:
    """What a name says of a change: ``KLCov`` of a class or a file, else ``fraction_0.02``.

    What it leaves out, of a long text or of the folders above a file, stands in it as four digits.

    Args:
        key: dotted key.
        value: what it is set to, as it is typed; a file as
            :func:`lit_entropy.shipped.short_name` calls it.
    """
    if value.endswith((".yaml", ".yml")):
        return _of_path(value.removesuffix(".yaml").removesuffix(".yml"))
    if _CLASS.fullmatch(value) and value.lower() not in _WORDS:
        return _of_class(value)
    return f"{_plain(_last(key))}_{_of_path(value)}"


def parts(changes: Mapping[str, str]) -> list[str]:
    """The parts of a name, one a change; two keys that end alike are told apart by a word more."""
    found = {key: part(key, value) for key, value in changes.items()}

    def told_apart(key: str) -> str:
        others = [other for other in found if other != key]
        words = key.split(".")[:-1]
        alike = any(found[other] == found[key] or _last(other) == _last(key) for other in others)
        return f"{words[-1]}_{found[key]}" if alike and words else found[key]

    return [told_apart(key) for key in found]


def changed(earlier: Mapping[str, str], later: Mapping[str, str]) -> dict[str, str]:
    """Changes after further ones; another class drops what was said of the arguments of the former.

    Args:
        earlier: changes by key, in the order in which they were made.
        later: further ones.
    """
    found = dict(earlier)
    for key, value in later.items():
        below = f"{key}."
        found = {name: text for name, text in found.items() if not f"{name}.".startswith(below)}
        found[key] = value
    return found


def run_name(
    name: str, earlier: Mapping[str, str], later: Mapping[str, str], seed: int, seeded: bool
) -> str:
    """The name of a run whose configuration files name it, and were changed.

    Args:
        name: as the files have it, ``quickstart-seed0``, the earlier changes among it.
        earlier: changes that it says already.
        later: changes that were made to the files, as :func:`changed` takes them.
        seed: of the run.
        seeded: whether the seed was set beside the files.

    Returns:
        ``quickstart-KLCov-fraction_0.02-seed1``; ``name`` where nothing was changed. Changes beyond
        :data:`SPELT` are counted and stand in four digits that others hardly have:
        ``-and-2-more-1c9f``.
    """
    found = _SEED.search(name)
    if not later and (int(found[1]) == seed if found else not seeded):
        return name  # with its number, if another run has the name
    stem = _SEED.sub("", name).removesuffix(_joined(earlier))
    end = f"-seed{seed}" if found or seeded else ""
    return f"{stem}{_joined(changed(earlier, later))}{end}"


def _joined(changes: Mapping[str, str]) -> str:
    spelt = parts(changes)
    more = []
    if len(spelt) > SPELT:  # two runs that differ there alone are no two starts of one
        rest = json.dumps(dict(list(changes.items())[SPELT:]))
        more = [f"and-{len(spelt) - SPELT}-more-{_digits(rest)}"]
    return "".join(f"-{text}" for text in [*spelt[:SPELT], *more])


def _last(key: str) -> str:
    return key.rpartition(".")[2]


def _of_path(text: str) -> str:
    """The last word of a path with its folder; of several folders, or of a long one, digits."""
    folder, _, name = (posixpath.normpath(text) if "/" in text else text).rpartition("/")
    parent = folder.rpartition("/")[2]
    near = f"{parent}_{name}" if parent and len(f"{parent}_{name}") <= LONGEST else name
    all_said = not folder or (near != name and parent == folder)
    return _plain(near) if all_said else f"{_plain(near)}-{_digits(folder)}"


def _of_class(path: str) -> str:
    """A class by its name; one of the user's own with its module, or digits of a long one."""
    module, _, name = path.rpartition(".")
    if not module or module.partition(".")[0] in _PUBLIC:
        return _plain(name)
    return path if len(path) <= LONGEST_CLASS else f"{_plain(name)}-{_digits(module)}"


def _plain(text: str) -> str:
    """Text that any file system and shell takes; of a longer one the start and four digits."""
    plain = re.sub(r"[^\w.+-]+", "_", text, flags=re.ASCII)
    if len(plain) > LONGEST:
        plain = f"{plain[: LONGEST - 5]}-{_digits(text)}"
    return plain.strip("_") if plain.strip("_.") else "other"


def _digits(text: str) -> str:
    return blake2b(text.encode(errors="surrogatepass"), digest_size=2).hexdigest()
