"""A run without the image says so."""

from collections.abc import Callable

from tests.k8s.image.building import lacking


def test_what_is_lacking_is_told(record_property: Callable[[str, object], None]) -> None:
    if reason := lacking():
        record_property("table", f"THE IMAGE WAS NOT BUILT, and not tried: {reason}")
