"""The build step that puts the shipped configurations into the wheel; all else is in setup.cfg."""

from pathlib import Path
from shutil import copytree

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithConfigs(build_py):
    """Copies ``configs/`` into the package; an editable install reads it in the checkout."""

    def run(self) -> None:
        """Build the package, then add the configurations."""
        super().run()
        if not self.editable_mode:
            target = Path(self.build_lib) / "lit_entropy" / "configs"
            copytree("configs", target, dirs_exist_ok=True)


setup(cmdclass={"build_py": BuildWithConfigs})
