"""How many examples Hypothesis tries of what a test holds for all.

An ordinary run tries half of what a test names, and others than the runs before it. `make test ARGS='--hypothesis-profile=long -k NAME'`
tries fifty times as many as it names.
"""

from hypothesis import settings

USUAL = 100
"""What Hypothesis itself tries of a test that names no number."""


def examples(named: int) -> int:
    """The number for a test that names `named`, by the profile in force."""
    return max(named * settings().max_examples // USUAL, 5)
