"""Checkov finds nothing unsafe in what the chart makes, but for what accepted.yaml has reasons for."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.k8s.chart.rendering import USES, render
from tests.k8s.checkov import program


def failed(folder: Path) -> set[tuple[str, str, str]]:
    """File, check and resource of each that fails."""
    command = [program(), "-d", str(folder), "--framework", "kubernetes", "--output", "json", "--quiet", "--compact", "--skip-download"]
    result = subprocess.run(command, capture_output=True, check=False, timeout=300, cwd=folder)
    report: dict[str, Any] = json.loads(result.stdout)
    assert report["summary"]["parsing_errors"] == 0
    assert report["summary"]["passed"] > 100
    return {(Path(one["file_path"]).stem, one["check_id"], one["resource"]) for one in report["results"]["failed_checks"]}


def test_what_it_finds_is_accepted(tmp_path: Path) -> None:
    for file in USES:
        (tmp_path / f"{file.stem}.yaml").write_text(yaml.safe_dump_all(render(yaml.safe_load(file.read_text()) or {})))
    found = failed(tmp_path)
    accepted = yaml.safe_load(Path(__file__).with_name("accepted.yaml").read_text())
    unused = []
    for row in accepted:
        covered = {one for one in found if one[1] == row["check"] and re.match(row["of"], one[2])}
        found -= covered
        if not covered:
            unused.append(row["check"])
    assert (sorted(found), unused) == ([], [])
