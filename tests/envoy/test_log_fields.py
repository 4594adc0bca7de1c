import pytest
from msgspec.structs import replace

from extproc.config.access_log import FIELDS, AccessLog, header_fault
from extproc.envoy.access_log import ATTEMPT, PEOPLE, REQUEST
from extproc.envoy.listener import connection_manager_parts
from extproc.envoy.places import Places
from extproc.ledger.access_log import KEYS
from tests.envoy.samples import SEVERAL


def test_a_line_has_what_the_ledger_reads() -> None:
    assert set(REQUEST) == set(KEYS)


def test_no_header_is_logged_that_may_hold_a_credential() -> None:
    headers = [text for text in (*REQUEST.values(), *ATTEMPT.values()) if "%REQ(" in text or "%RESP(" in text]
    assert sorted(set(headers)) == ["%REQ(:METHOD)%", "%REQ(X-REQUEST-ID)%", "%RESP(RETRY-AFTER)%"]


def test_the_log_for_people_has_no_query_and_no_credential() -> None:
    assert set(PEOPLE) == set(FIELDS)
    assert not any(":PATH" in text.upper() or "QUERY" in text.upper() for text in PEOPLE.values())
    headers = [text for text in PEOPLE.values() if "%REQ(" in text or "%RESP(" in text]
    assert sorted(headers) == ["%REQ(:METHOD)%", "%REQ(X-REQUEST-ID)%"]


@pytest.mark.parametrize(
    "name", ["authorization", "x-api-key", "cookie", "set-cookie", "x_auth_token", "x-client-cert", "referer", "x-monkey"]
)
def test_what_may_hold_one_is_not_logged(name: str) -> None:
    assert header_fault(name) is not None


@pytest.mark.parametrize("name", ["user-agent", "x-team", "x-headgate-user", "content-type"])
def test_what_may_be_logged(name: str) -> None:
    assert header_fault(name) is None


@pytest.mark.parametrize(
    ("path", "kind"),
    [("stdout", "StdoutAccessLog"), ("stderr", "StderrAccessLog"), ("/logs/access.log", "FileAccessLog")],
)
def test_where_it_goes(path: str, kind: str) -> None:
    config = replace(SEVERAL, access_log=AccessLog(path=path, fields=("status", "path"), request_headers=("x-team",)))
    ledgers, peoples = connection_manager_parts(config, Places())["access_log"]
    assert ledgers == connection_manager_parts(SEVERAL, Places())["access_log"][0]
    assert peoples["typed_config"]["@type"].endswith(kind)
    assert set(peoples["typed_config"]["log_format"]["json_format"]) == {"status", "path", "request_header_x-team"}
