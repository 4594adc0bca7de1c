"""The version of this distribution."""

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("headgate")
except PackageNotFoundError:  # a source tree that nobody installed
    VERSION = "0.0.0"
