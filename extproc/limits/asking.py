"""What one request has of the names that rules are per."""

from operator import attrgetter

from extproc.conditions import Facts
from extproc.limits.enduser import HEADER, cleaned, end_user
from extproc.values import Request

_TAG = "tag:"
_OWNERS = {name: attrgetter(name) for name in ("organization", "project", "team", "user", "service_account")}


class Asking:
    """`Values` of a request, each found out when a rule asks for it."""

    __slots__ = ("_end_user", "_tags", "request")

    def __init__(self, request: Request, body_user: str | None = None) -> None:
        """`body_user`: the end user whom the body names, where that is known already."""
        self.request = request
        self._end_user = body_user
        self._tags: dict[str, str] | None = None

    def __getitem__(self, name: str) -> str:
        """Raises `KeyError` where it has none."""
        if not (value := self._find(name)):
            raise KeyError(name)
        return value

    def _find(self, name: str) -> str:
        identity, request = self.request.identity, self.request
        if (of := _OWNERS.get(name)) is not None:
            return str(of(identity.owner)) if identity.owner is not None else ""
        if name.startswith(_TAG):
            return self._tag(name[len(_TAG) :])
        match name:
            case "key":
                return identity.id or identity.key
            case "tenant":
                return identity.tenant
            case "model":
                # As it is configured, whichever alias was asked for; of a pattern, each name that fits it by itself.
                return request.record.model if "*" in request.record.route else request.record.route or request.record.model
            case "provider":
                return request.targets[0].provider if request.targets else ""
            case "end_user":
                return self.end_user
        return ""

    @property
    def end_user(self) -> str:
        """Whom it is made for, as its header or its body says; empty where neither does."""
        if (told := cleaned(self.request.headers.get(HEADER))) != "":
            return told
        if self._end_user is None:
            self._end_user = end_user(self.request.body) if self.request.endpoint.json else ""
        return self._end_user

    def _tag(self, name: str) -> str:
        """What the caller is marked with goes before what he says of the request: `team=red`, or `team:red`, among its tags."""
        if (told := self.request.identity.grant.tags.get(name)) is not None:
            return told
        if self._tags is None:
            pairs = (tag.replace("=", ":", 1).partition(":") for tag in sorted(Facts(self.request).tags))
            self._tags = {name.strip(): value.strip() for name, _, value in pairs}
        return cleaned(self._tags.get(name))
