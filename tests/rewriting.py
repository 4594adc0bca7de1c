"""Assertions of test files, rewritten once: pytest has every process do that for all files, which takes each of them seven seconds.

Processes that run tests side by side share the files out among themselves, and find what the others have written in pytest's own cache.
"""

import os
from pathlib import Path

import pytest
from _pytest.assertion.rewrite import PYC_TAIL, _read_pyc, _rewrite_test, _write_pyc, assertstate_key, get_cache_dir, try_makedirs

_NUMBER, _COUNT = "PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT"
"""Of the process, such as `gw1`, and of all of them (pytest-xdist, "How to identify workers")."""


def share(config: pytest.Config, folder: Path) -> None:
    """Writes this process's share of what is to be rewritten below `folder`. Nothing for a process that runs tests alone."""
    if (name := os.environ.get(_NUMBER)) is None:
        return
    number, count = int(name.removeprefix("gw")), int(os.environ[_COUNT])
    for path in sorted(folder.rglob("test_*.py"))[number::count]:
        kept = get_cache_dir(path) / f"{path.stem}{PYC_TAIL}"
        if _read_pyc(path, kept) is None and try_makedirs(kept.parent):
            source, code = _rewrite_test(path, config)
            _write_pyc(config.stash[assertstate_key], code, source, kept)
