"""The OpenAPI document, and that the API does what it says: schemathesis asks whatever the document allows, and what it does not."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.generation import GenerationMode

from extproc.admin import API, ROOTS
from tests.admin.site import Site

_FEW = settings(
    max_examples=1, derandomize=True, database=None, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="module")
def ids(site: Site) -> dict[str, str]:
    """One thing of each kind, by what paths call it."""
    return asyncio.run(_made(site))


async def _made(site: Site) -> dict[str, str]:
    here = f"/organizations/{(acme := await site.make('/organizations', name='acme'))['id']}"
    user = await site.make("/users", name="alice")
    red = await site.make(f"{here}/teams", name="red")
    return {
        "month": "2026-11",
        "organization_id": acme["id"],
        "user_id": user["id"],
        "team_id": red["id"],
        "project_id": (await site.make(f"{here}/projects", name="p"))["id"],
        "service_account_id": (await site.make(f"{here}/service-accounts", name="ci"))["id"],
        "membership_id": (await site.make(f"{here}/teams/{red['id']}/members", user_id=user["id"], role="owner"))["id"],
        "plan_id": (await site.make("/plans", name="free"))["id"],
        "key_id": (await site.make(f"/teams/{red['id']}/keys", name="k"))["id"],
    }


@pytest.fixture(scope="module")
def document(site: Site) -> Any:
    found = schemathesis.openapi.from_asgi(f"{API}/openapi.json", site.app)
    # What may stand beside what, and which things there are, no schema says: 422 is an answer to what it allows.
    found.config.checks.positive_data_acceptance.expected_statuses = ["2xx", "304", "401", "403", "404", "409", "412", "422"]
    return found


def test_envoy_sends_all_of_its_paths_to_it(site: Site) -> None:
    document = site.app.openapi()
    assert document["openapi"].startswith("3.1")
    assert {path.removeprefix(f"{API}/").partition("/")[0] for path in document["paths"]} <= set(ROOTS)
    assert not [path for path in document["paths"] if path.startswith((f"{API}/chat", f"{API}/models"))]


def test_operations_have_names_of_their_own(site: Site) -> None:
    names = [one["operationId"] for path in site.app.openapi()["paths"].values() for one in path.values()]
    assert len(names) == len(set(names)) > 60


@pytest.mark.parametrize(("mode", "examples"), [(GenerationMode.POSITIVE, 2), (GenerationMode.NEGATIVE, 1)])
def test_it_answers_as_it_says(site: Site, ids: dict[str, str], document: Any, mode: GenerationMode, examples: int) -> None:
    headers = {"authorization": f"Bearer {site.key}"}
    for result in document.get_all_operations():
        operation = result.ok()

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(_FEW, max_examples=examples)
        def ask(case: Any) -> None:
            if mode is GenerationMode.POSITIVE and case.method != "DELETE":
                # Else nearly all would be about things that are not there.
                case.path_parameters.update({name: ids[name] for name in case.path_parameters})
            case.validate_response(case.call(headers=headers), headers=headers)

        ask()


def test_what_is_deleted_is_said_to_be(tmp_path: Path) -> None:
    """The document's own example of what is not answered with a body."""
    responses = Site(tmp_path).app.openapi()["paths"][f"{API}/teams/{{team_id}}"]["delete"]["responses"]
    assert "content" not in responses["204"] and set(responses) >= {"204", "401", "403", "404", "409", "412", "503"}
