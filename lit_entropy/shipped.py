"""The shipped configurations: where they lie and how they are named."""

import os
from pathlib import Path, PurePath

from lit_entropy.closest import did_you_mean, files_near

#: How the names of components' files end; that of an experiment's file may have any name.
SUFFIXES = (".yaml", ".yml")


def configs_folder() -> Path:
    """The folder of the shipped configurations: in the package, or beside it in a checkout."""
    package = Path(__file__).parent
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def shipped_names(folder: str = "") -> list[str]:
    """Names of the shipped configurations below ``folder``, such as ``experiment/kl_cov``."""
    root = configs_folder()
    files = (root / folder).rglob("*.yaml")
    return sorted(path.relative_to(root).with_suffix("").as_posix() for path in files)


def short_name(value: str) -> str:
    """How the name of a run calls a configuration file: ``kl_cov.yaml``, ``mine/kl_cov.yaml``.

    Args:
        value: a path, or the name of a shipped configuration; any other text is returned as it is.

    Returns:
        What follows the kind in the name of a shipped file, which is known by its content wherever
        a copy of it lies; of another one the path.
    """
    root = configs_folder()
    named = not value.endswith(SUFFIXES) and os.path.isfile(root / f"{value}.yaml")
    if not named and not value.endswith(SUFFIXES):
        return value
    path = PurePath(f"{value}.yaml" if named else value)
    parts = path.parts[1:] if path.is_absolute() else path.parts
    for start in range(len(parts)):
        twin = root.joinpath(*parts[start:])
        if os.path.isfile(twin) and (not os.path.isfile(path) or _same_bytes(twin, path)):
            return PurePath(*(parts[start + 1 :] or parts[-1:])).as_posix()
    return path.as_posix()


def _same_bytes(first: PurePath, second: PurePath) -> bool:
    return Path(first).read_bytes() == Path(second).read_bytes()


def find_config(name: str, flag: str, folder: str = "") -> str:
    """The file that a configuration is named by: as given, else a shipped one.

    Args:
        name: a path, or the name of a shipped configuration; a URL or YAML text is left alone.
        flag: the option that it was given to, for the message.
        folder: the shipped folder of such components; experiments, of any name, if empty.

    Raises:
        ValueError: neither a file nor shipped; names what is near, or lists the shipped ones.
    """
    if ":" in name or (os.path.isfile(name) and (not folder or name.endswith(SUFFIXES))):
        return name
    names = shipped_names(folder)
    short = name.removesuffix(".yaml")
    if short in names:
        return str(configs_folder() / f"{short}.yaml")
    if os.path.isdir(name):
        raise ValueError(f"{flag} {name} is a folder: name a file in it")
    near = files_near(name) or did_you_mean(short.removesuffix(".yml"), names)
    near = near or did_you_mean(Path(short).name, [found.rpartition("/")[2] for found in names])
    shipped = near or f"; shipped are {', '.join(_in_short(names, folder))}"
    raise ValueError(f"{flag} {name}: neither a file nor a shipped configuration{shipped}")


def _in_short(names: list[str], folder: str) -> list[str]:
    """The names in a folder; of its folders the number in each."""
    short: dict[str, int] = {}
    for name in names:
        first, slash, _ = name.removeprefix(f"{folder}/").partition("/")
        key = f"{folder}/{first}" if folder else first
        short[f"{key}/" if slash else key] = short.get(f"{key}/", 0) + 1
    return [f"{key}... ({count})" if key.endswith("/") else key for key, count in short.items()]
