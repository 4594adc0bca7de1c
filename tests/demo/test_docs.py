"""What people are told of the demo provider is what it does."""

import re
from pathlib import Path

from extproc.demo import script

DOCS = (Path(__file__).parents[2] / "docs" / "demo.md").read_text()


def test_the_table_is_the_codes_own() -> None:
    assert script.__doc__ is not None
    assert DOCS.endswith(script.__doc__[script.__doc__.index("| knob") :])


def test_every_knob_is_in_it() -> None:
    told = set(re.findall(r"`([a-z-]+)(?:=\w+)?`", DOCS))
    assert set(script.Script.__struct_encode_fields__) <= told
