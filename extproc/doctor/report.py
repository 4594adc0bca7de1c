"""What was found, as people and programs read it."""

import msgspec
import yaml

from extproc.doctor.finding import Finding

_WIDTH = 9


def as_json(findings: list[Finding]) -> str:
    """An array of objects."""
    return msgspec.json.format(msgspec.json.encode(findings), indent=2).decode()


def as_text(findings: list[Finding], version: str, where: str) -> str:
    """A heading, and a paragraph each."""
    counts = {level: sum(one.level == level for one in findings) for level in ("breaks", "weakens")}
    if not findings:
        return f"Envoy {version} at {where}: nothing breaks or weakens Headgate\n"
    said = [
        f"{count} {'thing' if count == 1 else 'things'} that {level[:-1] if count > 1 else level} Headgate"
        for level, count in counts.items()
        if count
    ]
    return f"Envoy {version} at {where}: {' and '.join(said)}\n" + "".join(f"\n{_paragraph(one)}" for one in findings)


def _paragraph(one: Finding) -> str:
    lines = [f"{one.level:<{_WIDTH}}{one.where}: {one.what}", f"{'':<{_WIDTH}}{one.why}"]
    if one.mend:
        mend = yaml.safe_dump(one.mend, sort_keys=False, width=120)
        lines += [f"{'':<{_WIDTH}}  {line}" for line in mend.splitlines()]
    return "\n".join(lines) + "\n"
