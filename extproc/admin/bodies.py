"""What clients send: to make something, all of it; to change something, a JSON merge patch (RFC 7396) of what is to be otherwise."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Optional, Union

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, defstruct

from extproc.errors import Reject
from extproc.identity.roles import Role
from extproc.identity.settings import Limit, Settings

Name = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[^\s\x00-\x1f\x7f]([^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f])?$")]
Text = Annotated[str, Meta(min_length=1, max_length=512, pattern=r"^[^\x00-\x1f\x7f]+$")]
Email = Annotated[str, Meta(min_length=3, max_length=254, pattern=r"^[^\s@\x00-\x1f\x7f]+@[^\s@\x00-\x1f\x7f]+$")]
Id = Annotated[str, Meta(min_length=3, max_length=80, pattern=r"^[a-z]+_[a-z0-9-]+$")]
Moment = Annotated[datetime, Meta(tz=True)]


class _Body(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class _NewLevel(_Body, frozen=True, kw_only=True):
    settings: Settings = Settings()
    plan_id: Id | None = None


class NewOrganization(_NewLevel, frozen=True, kw_only=True):
    """An organization to make."""

    name: Name
    """Never given to another one again, for cache, ledger and reports know it by that."""


class NewPart(_NewLevel, frozen=True, kw_only=True):
    """A project, a team or a service account to make."""

    name: Name


class NewUser(_NewLevel, frozen=True, kw_only=True):
    """A user to make."""

    name: Name
    email: Email | None = None
    issuer: Text | None = None
    """Who vouches for `subject`: the `iss` of his tokens. Both or none."""
    subject: Text | None = None

    def __post_init__(self) -> None:
        """Raises `ValueError` for one without the other."""
        if (self.issuer is None) != (self.subject is None):
            raise ValueError("`issuer` and `subject` belong together: give both, or none")


class NewPlan(_Body, frozen=True, kw_only=True):
    """A plan to make."""

    name: Name
    limits: Annotated[tuple[Limit, ...], Meta(max_length=100)] = ()


class NewMember(_NewLevel, frozen=True, kw_only=True):
    """A user to be given a role."""

    user_id: Id
    role: Role


class NewKey(_NewLevel, frozen=True, kw_only=True):
    """A key to make. What the path does not say of whom it belongs to, these say."""

    name: Name
    project_id: Id | None = None
    team_id: Id | None = None
    user_id: Id | None = None
    service_account_id: Id | None = None
    tenant: Name | None = None
    """Whose cache and whose lines in the ledger, if not the organization's. The operator's to say."""
    expires_at: Moment | None = None


class Rotation(_Body, frozen=True, kw_only=True):
    """How a key is rotated."""

    overlap: Annotated[int, Meta(ge=0, le=31_536_000)] = 0
    """Seconds for which the secret before stays good."""


def _nullable(type: Any) -> Any:
    return Union[type, None, UnsetType]  # noqa: UP007 - a value, not an annotation


_TAGS = dict[str, Optional[str]]  # noqa: UP045 - likewise
SettingsPatch = defstruct(
    "SettingsPatch",
    [
        (field.name, _nullable(_TAGS if field.name == "tags" else field.type), UNSET)
        for field in msgspec.structs.fields(Settings)
    ],
    frozen=True, kw_only=True, forbid_unknown_fields=True,
)  # fmt: skip
"""What is to be otherwise in settings: null takes something back, lists are replaced as a whole."""


class LevelPatch(_Body, frozen=True, kw_only=True):
    """What is to be otherwise of an organization."""

    settings: SettingsPatch | UnsetType = UNSET  # type: ignore[valid-type]
    plan_id: Id | UnsetType | None = UNSET
    disabled: bool | UnsetType = UNSET
    """True suspends it: nobody below it is let in."""


class PartPatch(LevelPatch, frozen=True, kw_only=True):
    """What is to be otherwise of a project, a team or a service account."""

    name: Name | UnsetType = UNSET


class UserPatch(LevelPatch, frozen=True, kw_only=True):
    """What is to be otherwise of a user."""

    name: Name | UnsetType = UNSET
    email: Email | UnsetType | None = UNSET
    issuer: Text | UnsetType | None = UNSET
    subject: Text | UnsetType | None = UNSET


class PlanPatch(_Body, frozen=True, kw_only=True):
    """What is to be otherwise of a plan."""

    name: Name | UnsetType = UNSET
    limits: Annotated[tuple[Limit, ...], Meta(max_length=100)] | UnsetType = UNSET


class MemberPatch(LevelPatch, frozen=True, kw_only=True):
    """What is to be otherwise of a membership."""

    role: Role | UnsetType = UNSET


class KeyPatch(LevelPatch, frozen=True, kw_only=True):
    """What is to be otherwise of a key."""

    expires_at: Moment | UnsetType | None = UNSET
    tenant: Name | UnsetType | None = UNSET


def merged(target: Any, patch: Any) -> Any:
    """A value with a patch applied (RFC 7396, section 2)."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


def changes(patch: Struct, entity: Any) -> dict[str, Any]:
    """The columns that a patch of an entity sets. Raises `Reject` 422 for settings that contradict themselves."""
    given = {name: value for name in patch.__struct_fields__ if (value := getattr(patch, name)) is not UNSET}
    if "settings" in given:
        whole = merged(msgspec.to_builtins(entity.settings), msgspec.to_builtins(given["settings"]))
        try:
            given["settings"] = msgspec.convert(whole, Settings)
        except msgspec.ValidationError as error:
            raise Reject(422, "invalid", f"{error}.", param="settings") from None
    if (until := given.get("expires_at")) is not None:
        given["expires_at"] = milliseconds(until)
    return given


def milliseconds(moment: datetime) -> int:
    """A time as the store has it."""
    return int(moment.timestamp() * 1000)
