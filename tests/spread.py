"""Which files one process runs, where several processes share tests out among themselves: `make test`."""

from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]

TOGETHER = {"tests/e2e/test_recordings.py": "tests/e2e/test_provider_errors.py"}
"""By its file, what it goes with: LiteLLM takes four seconds to import, and these two are all that do."""


class Spread(LoadFileScheduling):  # type: ignore[misc]
    """File by file; some together. A scope is what one process is given as a whole (pytest-xdist, `pytest_xdist_make_scheduler`)."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return TOGETHER.get(file, file)
