from extproc.envoy.access_log import ATTEMPT, REQUEST
from extproc.ledger.access_log import KEYS


def test_a_line_has_what_the_ledger_reads() -> None:
    assert set(REQUEST) == set(KEYS)


def test_no_header_is_logged_that_may_hold_a_credential() -> None:
    headers = [text for text in (*REQUEST.values(), *ATTEMPT.values()) if "%REQ(" in text or "%RESP(" in text]
    assert sorted(set(headers)) == ["%REQ(:METHOD)%", "%REQ(X-REQUEST-ID)%", "%RESP(RETRY-AFTER)%"]
