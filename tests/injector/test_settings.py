"""The injector's settings: every mistake at once, with its place."""

from pathlib import Path

from extproc.injector.settings import Settings, read_settings

GOOD = """
image: registry.test/headgate:1
mode: native
secret: null
client_key: {secret: keys, key: token}
resources: {requests: {cpu: 1}, limits: {}}
env: [{name: A, value: b}, {name: N, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]
run_as_user: null
"""
BAD = """
imgae: x
mode: sidecar
port: 70000
config: My_Config
resources: {limits: {memory: much}}
client_key: {}
"""


def test_good(tmp_path: Path) -> None:
    path = tmp_path / "injector.yaml"
    path.write_text(GOOD)
    settings, problems = read_settings(path, {})
    assert settings is not None and not problems
    assert (settings.secret, settings.run_as_user, settings.resources.requests) == (None, None, {"cpu": "1"})
    assert settings.env[1] == {"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    assert settings.port == Settings().port


def test_bad(tmp_path: Path) -> None:
    path = tmp_path / "injector.yaml"
    path.write_text(BAD)
    settings, problems = read_settings(path, {})
    assert settings is None
    assert [(problem.path, problem.line) for problem in problems] == [
        ("$.imgae", 2), ("$.mode", 3), ("$.port", 4), ("$.config", 5), ("$.resources.limits.memory", 6), ("$.client_key", 7),
    ]  # fmt: skip
    path.unlink()
    assert read_settings(path, {})[0] is None


def test_what_would_have_every_pod_refused(tmp_path: Path) -> None:
    path = tmp_path / "injector.yaml"
    for text, places in (
        ("port: 15181", ["$.admin_port"]),
        ("port: 1000\nadmin_port: 1000", ["$.admin_port"]),
        ("resources: {requests: {cpu: 2, memory: 1Gi}, limits: {cpu: 1500m, memory: 1073741824}}", ["$.resources.requests.cpu"]),
        ("env: [{name: A, value: b}, {value: x}, {name: ''}]", ["$.env[1]", "$.env[2]"]),
    ):
        path.write_text(text)
        settings, problems = read_settings(path, {})
        assert settings is None and [problem.path for problem in problems] == places
