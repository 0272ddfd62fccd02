"""Which release of the software this is."""

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("lit_entropy")
except PackageNotFoundError:  # a checkout on the path, which nobody has installed
    VERSION = "0+checkout"
