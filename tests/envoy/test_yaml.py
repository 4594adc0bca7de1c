from pathlib import Path

import yaml

from extproc.envoy.document import replace, to_yaml


def test_order_and_comments() -> None:
    text = to_yaml({"b": 1, "a": [1]}, header="one\ntwo", notes={"a": "why"})
    assert text == "# one\n# two\nb: 1\n\n# why\na:\n- 1\n"


def test_shared_values_are_written_twice() -> None:
    shared = {"x": 1}
    assert yaml.safe_load(to_yaml({"a": shared, "b": shared})) == {"a": shared, "b": shared}
    assert "&" not in to_yaml({"a": shared, "b": shared})


def test_replaced_by_renaming(tmp_path: Path) -> None:
    path = tmp_path / "cds.yaml"
    path.write_text("old")
    before = path.stat().st_ino
    replace(path, "new")
    assert path.read_text() == "new"
    assert path.stat().st_ino != before
    assert list(tmp_path.iterdir()) == [path]
