"""`identities` in `gateway.yaml`: what is wrong with it, and what is made of it."""

from pathlib import Path

import pytest

from extproc.config.declared import rows
from extproc.config.load import Loaded, load
from extproc.identity.declared import Row
from extproc.identity.ids import is_declared, kind_of
from extproc.identity.settings import Settings
from extproc.identity.written import limit

BASE = """
providers: {one: {dialect: openai, base_url: "http://one.test/v1"}}
models: [{name: m, targets: [one]}]
identities:
"""
WHOLE = """
  plans:
    free: {limits: [requests=10k/month, {limit: cost=5/month, hard: false, thresholds: [0.8], per: [user]}]}
  organizations:
    acme: {models: ["gpt-*"], tags: {floor: "3"}, plan: free}
    other: {}
  projects:
    site: {organization: acme}
  teams:
    research: {organization: acme, name: The researchers, limits: [cost=50/month], suspended: true}
  users:
    ann: {email: ann@example.com, issuer: https://login.test, subject: "1"}
  memberships:
    - {user: ann, organization: acme, team: research, role: admin}
  service_accounts:
    ci: {organization: acme, networks: [10.0.0.0/8]}
  keys:
    hashed: {organization: acme, team: research, hash: "sha256:%s", expires: 2027-01-01}
    secret: {organization: acme, service_account: ci, secret: env:SECRET, tenant: t}
""" % ("ab" * 32)  # fmt: skip


def read(folder: Path, text: str) -> Loaded:
    path = folder / "gateway.yaml"
    path.write_text(BASE + text)
    return load(path, {"SECRET": "hg-" + "x" * 43})


def test_what_is_made_of_it(tmp_path: Path) -> None:
    loaded = read(tmp_path, WHOLE)
    assert loaded.config is not None and loaded.config.identities is not None and loaded.problems == []
    made = {row.id: row for row in rows(loaded.config.identities)}
    assert all(is_declared(id) and kind_of(id) == row.kind for id, row in made.items())
    assert made["team_research"] == Row(
        "team", "team_research",
        {
            "settings": Settings(limits=(limit("cost=50/month"),)), "disabled": True, "plan_id": None, "organization_id": "org_acme",
            "name": "The researchers",
        },
    )  # fmt: skip
    assert made["org_acme"].values["plan_id"] == "plan_free"
    soft = made["plan_free"].values["limits"][1]
    assert (soft.unit, soft.hard, soft.thresholds, soft.per) == ("cost", False, (0.8,), ("user",))
    assert made["key_hashed"].values["digest"] == b"\xab" * 32
    assert made["key_hashed"].values["expires_at"] == 1_798_761_600_000
    assert (made["key_secret"].values["secret"][:3], made["key_secret"].values["tenant"]) == ("hg-", "t")
    (membership,) = [row for row in made.values() if row.kind == "membership"]
    assert (membership.values["user_id"], membership.values["team_id"], membership.values["role"]) == ("user_ann", "team_research", "admin")
    assert membership.id in {row.id for row in rows(loaded.config.identities)}, "the same each time"
    # What needs another one comes after it.
    kinds = [row.kind for row in rows(loaded.config.identities)]
    assert kinds.index("plan") < kinds.index("organization") < kinds.index("team") < kinds.index("membership") < kinds.index("key")


@pytest.mark.parametrize(
    ("text", "path", "part"),
    [
        ("  organizations: {Acme: {}}", "$.identities.organizations.Acme", "lower-case letters"),
        ("  organizations: {acme: {limits: [wishes=1/day]}}", "$.identities.organizations.acme.limits[0]", "is no limit"),
        ("  organizations: {acme: {networks: [10.0.0.1/8]}}", "$.identities.organizations.acme.networks", "is no network"),
        ("  organizations: {acme: {plan: fre}}\n  plans: {free: {}}", "$.identities.organizations.acme.plan", "free"),
        ("  teams: {research: {organization: acme}}", "$.identities.teams.research.organization", "there is no"),
        ("  plans: {free: {limits: [{limit: x}]}}", "$.identities.plans.free.limits[0]", "is no limit"),
        ("  organizations: {a: {}, b: {}}\n  teams: {t: {organization: a}}\n  keys: {k: {organization: b, team: t, hash: 'sha256:%s'}}"
         % ("0" * 64), "$.identities.keys.k.team", "belongs to the organization"),
        ("  organizations: {a: {}}\n  keys: {k: {organization: a}}", "$.identities.keys.k", "give one of them"),
        ("  organizations: {a: {}}\n  keys: {k: {organization: a, expires: soon, hash: 'sha256:%s'}}" % ("0" * 64),
         "$.identities.keys.k.expires", "no day or time"),
        ("  organizations: {a: {}}\n  keys: {k: {organization: a, hash: nonsense}}", "$.identities.keys.k.hash", "64 hexadecimal"),
        ("  memberships: [{user: ann, organization: acme, role: king}]", "$.identities.memberships[0].role", "king"),
    ],
)  # fmt: skip
def test_what_is_wrong(tmp_path: Path, text: str, path: str, part: str) -> None:
    loaded = read(tmp_path, text)
    assert loaded.config is None
    assert any(problem.path == path and part in problem.message for problem in loaded.problems), loaded.problems


def test_a_key_that_is_written_plainly_is_warned_of(tmp_path: Path) -> None:
    loaded = read(tmp_path, "  organizations: {a: {}}\n  keys: {k: {organization: a, secret: hg-0123456789abcdef}}")
    assert loaded.config is not None
    (problem,) = loaded.problems
    assert "written here plainly" in problem.message and "0123456789" not in problem.message
