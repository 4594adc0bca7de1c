"""Whether Envoy will find credentials of AWS."""

from pathlib import Path

import pytest

from extproc.config.model import Aws, Config, Provider
from extproc.control.amazon import lacking, origin

BEDROCK = Provider(dialect="bedrock", base_url="https://aws.test", aws=Aws(region="eu-west-1"))
GIVEN = Provider(dialect="bedrock", base_url="https://aws.test", aws=Aws(region="eu-west-1", access_key="A", secret_key="s"))
KEYED = Provider(dialect="bedrock", base_url="https://aws.test", key="k")


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        ({"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "s"}, "the environment"),
        ({"AWS_WEB_IDENTITY_TOKEN_FILE": "/t", "AWS_ROLE_ARN": "arn:x"}, "a web identity"),
        ({"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://x"}, "the container's"),
        ({"AWS_ACCESS_KEY_ID": "A"}, None),
        ({"AWS_ROLE_ARN": "arn:x", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": ""}, None),
    ],
)
def test_the_environment(tmp_path: Path, environ: dict[str, str], found: str | None) -> None:
    told = origin({"HOME": str(tmp_path), **environ})
    assert told is None if found is None else told is not None and told.startswith(found)


def test_the_file_and_its_profiles(tmp_path: Path) -> None:
    file = tmp_path / ".aws" / "credentials"
    file.parent.mkdir()
    file.write_text("[default]\nregion = x%y\n[work]\naws_access_key_id = A\naws_secret_access_key = s\n")
    home = {"HOME": str(tmp_path)}
    assert origin(home) is None
    assert origin({**home, "AWS_PROFILE": "work"}) == f"{file} (profile work)"
    assert origin({"AWS_SHARED_CREDENTIALS_FILE": str(file), "AWS_PROFILE": "work"}) == f"{file} (profile work)"
    file.write_bytes(b"\xff no ini")
    assert origin({**home, "AWS_PROFILE": "work"}) is None


def test_what_is_missing_and_where_it_is_looked_for(tmp_path: Path) -> None:
    config = Config(providers={"bare": BEDROCK, "given": GIVEN, "keyed": KEYED}, models=())
    (told,) = lacking(config, {"HOME": str(tmp_path)})
    assert told.startswith("$.providers.bare: no credentials of AWS")
    assert all(
        name in told for name in ("AWS_ACCESS_KEY_ID", str(tmp_path), "AWS_ROLE_ARN", "metadata service is left", "env:AWS_BEARER_TOKEN")
    )
    assert "switched off" in lacking(config, {"HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true"})[0]
    assert lacking(config, {"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "s"}) == []
    assert lacking(Config(providers={"given": GIVEN, "keyed": KEYED}, models=()), {}) == []
