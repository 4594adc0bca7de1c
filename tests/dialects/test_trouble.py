"""What is looked at more closely, since it may be an error that came with the status of an answer."""

import pytest

from extproc.dialects.trouble import is_suspect


@pytest.mark.parametrize(
    ("body", "suspect"),
    [
        (b'{"id":"r","error":null,"status":"completed"}', False),
        (b'{"id":"r","error": null,"status":"completed"}', False),
        (b'{"id":"r","error":null,"status":"failed"}', True),
        (b'{"error":null,"output":[{"error":{"message":"no"}}]}', True),
        (b'{"error":null,"type":"error"}', True),
        (b'{"error":nullify}', False),
        (b'{"error":"no"}', True),
        (b'{"error" : ["no"]}', True),
        (b'{"text":"the \\"error\\":null"}', False),
        (b'{"finish_reason":"ERROR"}', True),
        (b'{"said":"no error","more":1}', False),
    ],
)
def test_what_may_be_an_error(body: bytes, suspect: bool) -> None:
    assert is_suspect(body) is suspect
