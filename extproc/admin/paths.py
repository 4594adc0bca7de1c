"""All paths of the API: one table, which says what is to be had where."""

from extproc.admin import bodies, records, views
from extproc.admin.keys import KeyResource
from extproc.admin.organizations import OrganizationResource, PlanResource, ProjectResource, ServiceAccountResource, TeamResource
from extproc.admin.pages import Page
from extproc.admin.people import MemberResource, UserResource
from extproc.admin.routes import EXPECTED, ONCE, Routes

_ORGANIZATION = "/organizations/{organization_id}"
_PROJECT = "/projects/{project_id}"
_TEAM = "/teams/{team_id}"
_ACCOUNT = "/service-accounts/{service_account_id}"
_MEMBER = "/members/{membership_id}"
_KEY = "/keys/{key_id}"


def add_routes(routes: Routes) -> None:
    """All but those of reports. Where an id alone says which thing is meant, there is a short path beside the long one."""
    records.add_routes(routes)
    _add_groups(routes)
    _add_people(routes)
    _add_keys(routes)


def _add_groups(routes: Routes) -> None:
    organizations, plans = OrganizationResource(), PlanResource()
    routes.collection(organizations, "/organizations", "")
    routes.item(organizations, _ORGANIZATION, "")
    for part, path in ((ProjectResource(), _PROJECT), (TeamResource(), _TEAM), (ServiceAccountResource(), _ACCOUNT)):
        routes.collection(part, _ORGANIZATION + path.rpartition("/")[0], "")
        routes.item(part, _ORGANIZATION + path, "organization_")
        routes.item(part, path, "")
    routes.collection(plans, "/plans", "")
    routes.item(plans, "/plans/{plan_id}", "")


def _add_people(routes: Routes) -> None:
    users, members = UserResource(), MemberResource()
    routes.collection(users, "/users", "")
    routes.item(users, "/users/{user_id}", "")
    for around, name in ((_ORGANIZATION, "organization_"), (_ORGANIZATION + _TEAM, "organization_team_"), (_TEAM, "team_")):
        routes.collection(members, f"{around}/members", name)
        routes.item(members, around + _MEMBER, name)
    routes.item(members, _MEMBER, "")


def _add_keys(routes: Routes) -> None:
    keys = KeyResource()
    routes.add(
        "GET", "/keys", keys.search, name="list_keys", summary="List keys, or find one by its prefix", tag="keys", gives=Page[views.Key]
    )
    routes.collection(keys, f"{_ORGANIZATION}/keys", "organization_")
    for around, name in ((_PROJECT, "project_"), (_TEAM, "team_"), (_ACCOUNT, "service_account_")):
        routes.collection(keys, f"{_ORGANIZATION}{around}/keys", f"organization_{name}")
        routes.collection(keys, f"{around}/keys", name)
    routes.item(keys, _KEY, "")
    routes.add(
        "POST", f"{_KEY}/rotate", keys.rotate, name="rotate_key", summary="Give a key another secret, shown once", tag="keys",
        takes=bodies.Rotation, gives=views.FreshKey, headers=[EXPECTED, ONCE], optional=True,
    )  # fmt: skip
    for verb, endpoint in (("disable", keys.disable), ("enable", keys.enable)):
        routes.add(
            "POST", f"{_KEY}/{verb}", endpoint, name=f"{verb}_key", summary=f"{verb.capitalize()} a key", tag="keys", gives=views.Key,
            headers=[EXPECTED, ONCE],
        )  # fmt: skip
