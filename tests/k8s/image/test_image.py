"""The image: how large it is, and that it serves as nobody in particular, on a root that cannot be written to."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from tests.k8s.image.building import Images
from tests.k8s.image.container import Container

pytestmark = pytest.mark.timeout(1800)  # alone it is built in two minutes
MIB = 1 << 20
LARGEST = 180 * MIB
"""Of what is ours."""
SETTINGS = {
    "providers": {"demo": {"dialect": "openai", "base_url": "demo:"}},
    "models": [{"name": "demo", "targets": ["demo/demo"]}],
    "drain": 5,
}
ASK = """
import json, urllib.request as u
body = {"model": "demo", "messages": [{"role": "user", "content": "Hello"}]}
asked = u.Request("http://127.0.0.1:8080/v1/chat/completions", json.dumps(body).encode(), {"content-type": "application/json"})
answer = u.build_opener(u.ProxyHandler({})).open(asked, timeout=20)
print(json.dumps({"status": answer.status, "server": answer.headers["server"], "body": json.load(answer)}))
"""


@pytest.fixture
def container(images: Images, tmp_path: Path) -> Iterator[Container]:
    settings = tmp_path / "gateway.yaml"
    settings.write_text(yaml.safe_dump(SETTINGS))
    settings.chmod(0o644)
    with Container(images.container("headgate"), images.config("headgate"), settings, tmp_path / "log") as running:
        yield running


def test_its_size(images: Images, record_property: Callable[[str, object], None]) -> None:
    root = images.container("headgate")
    whole, envoy, ours = size(root), size(root / "usr/local/bin/envoy"), size(root / "opt/headgate")
    told = (
        f"the image: {whole / MIB:.0f} MiB; of it, Envoy {envoy / MIB:.0f}, Headgate and its packages {ours / MIB:.0f}, the base the rest"
    )
    record_property("table", told)
    assert ours < LARGEST


def size(path: Path) -> int:
    """Bytes of a file, or of all in a folder."""
    return sum(each.lstat().st_size for each in ([path] if path.is_file() else path.rglob("*")) if each.is_file() and not each.is_symlink())


def test_what_is_in_it(images: Images) -> None:
    root, config = images.container("headgate"), images.config("headgate")
    assert config["User"] == "10001:10001"
    assert set(config["ExposedPorts"]) == {"8080/tcp", "9180/tcp"}
    state = (root / "var" / "lib" / "headgate").stat()
    assert (state.st_uid, state.st_gid, state.st_mode & 0o777) == (10001, 10001, 0o700)
    packages = root / "opt" / "headgate"
    assert not list(packages.rglob("pip/__init__.py"))
    # A root that cannot be written to would have all of it compiled with each start.
    modules = list(packages.rglob("extproc/**/*.py"))
    assert modules and all(list((path.parent / "__pycache__").glob(f"{path.stem}.*.pyc")) for path in modules)
    writable = [path for path in packages.rglob("*") if not path.is_symlink() and path.stat().st_mode & 0o022]
    assert writable == []


def test_it_serves_a_request(container: Container) -> None:
    assert not container.healthy(), "it has only just begun"
    container.until_healthy()
    done = container.run("python", "-c", ASK)
    assert done.returncode == 0, done.stderr + container.log.read_text()
    answer = json.loads(done.stdout)
    assert (answer["status"], answer["server"]) == (200, "headgate")
    assert answer["body"]["choices"][0]["message"]["content"]
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{container.pid}/status").read_text().splitlines())
    assert status["Uid"].split() == [str(container.user)] * 4
    assert (int(status["CapEff"], 16), int(status["CapPrm"], 16), status["NoNewPrivs"]) == (0, 0, "1")
    assert container.run("touch", "/etc/headgate/other").returncode != 0
    assert container.stop() == 0
    assert "Traceback" not in container.log.read_text()
