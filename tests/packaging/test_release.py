"""One version everywhere, and a changelog that is ready to tag."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]


def test_the_versions_agree() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    version = setup["metadata"]["version"]
    assert version == "0.1.0"
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == version
    released = re.findall(r"^## \[(\d.*)\] - (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert released[0][0] == version
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", released[0][1])


def test_known_bad_dependencies_are_excluded() -> None:
    requires = configparser.ConfigParser()
    requires.read(ROOT / "setup.cfg")
    lines = requires["options"]["install_requires"].split("\n")[1:]
    wanted = {each.name: each.specifier for each in map(Requirement, lines)}
    for version in ("2.6.2", "2.6.3", "2.6.5"):
        assert version not in wanted["lightning"]
    assert "5.4" not in wanted["transformers"]
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        name, equals, version = line.partition("==")
        if equals and name in wanted:
            assert version in wanted[name], line
