"""`headgate inject`, from files and standard input."""

import io
from pathlib import Path

import pytest
import yaml

from extproc.cli import main

POD = "kind: Pod\nmetadata: {name: app}\nspec: {containers: [{name: app, image: a}]}\n"


def test_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "pod.yaml"
    path.write_text(POD)
    assert main(["inject", "-f", str(path)]) == 0
    told = capsys.readouterr()
    (sidecar,) = yaml.safe_load(told.out)["spec"]["initContainers"]
    assert (sidecar["name"], sidecar["restartPolicy"], told.err) == ("headgate", "Always", "")
    # Its own output again, and by standard input.
    monkeypatch.setattr("sys.stdin", io.StringIO(told.out))
    assert main(["inject", "-f", "-"]) == 0
    assert capsys.readouterr().out == told.out


def test_versions_and_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, settings = tmp_path / "pod.yaml", tmp_path / "injector.yaml"
    path.write_text(POD)
    settings.write_text("image: mine:1\n")
    assert main(["inject", "-f", str(path), "--settings", str(settings), "--kubernetes-version", "1.28"]) == 0
    spec = yaml.safe_load(capsys.readouterr().out)["spec"]
    assert spec["containers"][0]["image"] == "mine:1" and "initContainers" not in spec


def test_warnings_name_the_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "pod.yaml"
    path.write_text(POD.replace("spec: {", "spec: {hostNetwork: true, "))
    assert main(["inject", "-f", str(path)]) == 0
    told = capsys.readouterr()
    assert "Pod app: no Headgate sidecar: it is in the network of its node" in told.err
    assert "headgate" not in told.out


def test_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, settings = tmp_path / "pod.yaml", tmp_path / "injector.yaml"
    settings.write_text("imgae: x\n")
    for text, more, why in (
        ("kind: Pod\nmetadata: [", [], "pod.yaml:2:12: this is not YAML: "),
        ("kind: \x00", [], "pod.yaml: character 7 is a control character"),
        ("kind: Pod\nmetadata: {labels: {headgate.io/inject: x}}", [], "has to be"),
        (POD, ["--settings", str(settings)], 'unknown key "imgae"; did you mean "image"?'),
        (POD, ["--kubernetes-version", "new"], "no version of Kubernetes"),
    ):
        path.write_text(text)
        assert main(["inject", "-f", str(path), *more]) == 2
        told = capsys.readouterr()
        assert why in told.err and not told.out
        assert len(told.err.splitlines()) == 1
    path.write_bytes(b"kind: \xff")
    assert main(["inject", "-f", str(path)]) == 2
    assert "pod.yaml: the file is not in UTF-8" in capsys.readouterr().err
    assert main(["inject", "-f", str(tmp_path / "gone")]) == 2
    assert capsys.readouterr().err == f"headgate: {tmp_path / 'gone'}: No such file or directory\n"
