import pytest

from extproc.envoy.complaint import without_quotes

INVALID = 'Proto constraint validation failed (AValidationError.B: value does not match "(x)")'


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("cannot bind '0.0.0.0:80': Address already in use", "cannot bind '0.0.0.0:80': Address already in use"),
        (f'goo.gle/debugstr   \nconfig {{\n  client_secret: "sk-1"\n}}\n: {INVALID}', INVALID),
        (f'listener(s) headgate: goo.gle/debugonly client_secret: "sk-1"\n: {INVALID}\n', f"listener(s) headgate: {INVALID}"),
        (f'{INVALID}: client_secret: "sk-1"\nname: ""', INVALID),
        (f'listener(s) headgate: {INVALID}: client_secret: "sk-1"', f"listener(s) headgate: {INVALID}"),
        ('Unable to parse JSON as proto (near 1:2): {"client_secret":"sk-1"}', "Unable to parse JSON as proto (near 1:2)"),
        ("one\ntwo", "one two"),
    ],
)
def test_what_is_left(said: str, shown: str) -> None:
    assert without_quotes(said) == shown


def test_in_brief() -> None:
    assert without_quotes("one\ntwo", brief=True) == "one"
    assert without_quotes(f'one: goo.gle/debugproto a: "sk-1"\nb: 1: {INVALID}', brief=True) == f"one: {INVALID}"
