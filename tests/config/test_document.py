import os
from pathlib import Path

import pytest

from extproc.config.document import MAX_BYTES, Mapping, Scalar, Sequence, parse_document, read_document
from extproc.config.problem import Mark, Problems


def _fault(text: str) -> tuple[int, int, str]:
    problems = Problems()
    assert parse_document(text, problems) is None
    (problem,) = problems.listed()
    return problem.line, problem.column, problem.message


def _mapping(text: str) -> Mapping:
    problems = Problems()
    root = parse_document(text, problems)
    assert isinstance(root, Mapping)
    assert not problems.listed()
    return root


def test_nodes_know_their_places() -> None:
    root = _mapping("a: 1\nb:\n  - 'x'\n  - {c: d}\n")
    assert root.get("a") == Scalar(Mark(1, 4), "1", plain=True)
    items = root.get("b")
    assert isinstance(items, Sequence)
    assert items.items[0] == Scalar(Mark(3, 5), "x", plain=False)
    assert items.items[1].mark == Mark(4, 5)


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ("a:\n\tb: 1\n", 2, "tab"),
        ("a: b: c\n", 1, "in quotes"),
        ("a: [1\n", 2, "bracket"),
        ("a: 'x\n", 2, "ends inside quotes"),
        ("a: @x\n", 1, 'begin with "@"; put it in quotes'),
        ("a:\n  - b\n c: d\n", 3, "indented"),
        ("a: 1\n---\nb: 1\n", 2, "second document"),
        ("a: *x\n", 1, "alias *x means nothing"),
        ("a: &x [*x]\n", 1, "stands inside"),
        ("a: !!python/name:os.system x\n", 1, "is not known here"),
        ("a: 1\nb: \x01\n", 2, "control character"),
    ],
)
def test_syntax_errors_have_a_line_and_a_sentence(text: str, line: int, part: str) -> None:
    found = _fault(text)
    assert found[0] == line
    assert part in found[2]


def test_keys_that_cannot_stay() -> None:
    faults = _mapping("a: 1\na: 2\n? [b]\n: 1\ntrue: 1\n~: 1\n<<: 3\n7: fine\n").faults
    assert [(fault.mark.line, fault.message.split(";")[0]) for fault in faults] == [
        (2, 'the key "a" is here twice'),
        (3, "a key has to be a name, not a list or a mapping"),
        (5, "the key true is no name"),
        (6, "a key is missing before the `:`"),
        (7, "`<<` takes a mapping, or a list of mappings"),
    ]


def test_aliases_and_merged_keys() -> None:
    root = _mapping("base: &b {x: 1, y: 2}\none:\n  <<: *b\n  y: 3\ntwo: *b\n")
    one, two = root.get("one"), root.get("two")
    assert isinstance(one, Mapping)
    assert isinstance(two, Mapping)
    assert [(entry.key.text, entry.value.text) for entry in one.entries if isinstance(entry.value, Scalar)] == [("y", "3"), ("x", "1")]
    assert two.mark == Mark(5, 6)


def test_aliases_cannot_multiply_without_bound() -> None:
    text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
    for at in range(1, 12):
        text += f"a{at}: &a{at} [{', '.join([f'*a{at - 1}'] * 9)}]\n"
    assert "aliases expanded" in _fault(text)[2]


def test_depth_is_bounded() -> None:
    assert "levels deep" in _fault("[" * 100 + "]" * 100)[2]
    assert "levels deep" in _fault("- " * 100_000 + "x")[2]


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing but a comment\n"])
def test_an_empty_file(text: str) -> None:
    assert "empty" in _fault(text)[2]


def _unreadable(path: Path) -> str:
    problems = Problems()
    assert read_document(path, problems) is None
    return problems.listed()[0].message


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    assert _unreadable(path) == "there is no such file"
    assert "folder" in _unreadable(tmp_path)
    assert _unreadable(Path("a\0b"))
    os.mkfifo(tmp_path / "fifo")
    assert "regular" in _unreadable(tmp_path / "fifo")
    path.write_bytes(b"a: \xff\n")
    assert "UTF-8 from here on" in _unreadable(path)
    path.write_bytes("a: 1".encode("utf-16"))
    assert "UTF-16" in _unreadable(path)
    path.write_bytes(b"#" * (MAX_BYTES + 1))
    assert "larger" in _unreadable(path)


def test_a_byte_order_mark_is_taken_off(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\n")
    problems = Problems()
    root = read_document(path, problems)
    assert isinstance(root, Mapping)
    assert root.get("a") is not None
