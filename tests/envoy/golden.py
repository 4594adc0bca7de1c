"""Files that hold what the compiler is expected to say."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent / "golden"


def check(path: Path, text: str, *, update: bool) -> None:
    """Compare `text` with the file at `path`, or write it there."""
    if update:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), f"{path.name} differs: look at it, then run pytest with --update"
