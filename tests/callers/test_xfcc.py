"""`x-forwarded-client-cert`: read strictly, and made into callers."""

import contextlib
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.callers.xfcc import Certified, Element, parse, pattern_fault
from extproc.config.callers import Mesh, Workload
from extproc.errors import Reject
from extproc.identity.claimed import Claimed
from extproc.values import Identity

HASH = "468ed33be74eee6556d90c0149c1309e9ba61d6425303443c0748a02dd8de688"
SPIFFE = "spiffe://cluster.local/ns/{tenant}/sa/{key}"


def test_the_form_of_envoys_documentation() -> None:
    """Its examples (configuration/http/http_conn_man/headers)."""
    subject = "/C=US/ST=CA/L=San Francisco/OU=Lyft/CN=Test Client"
    both = f'By=http://frontend.lyft.com;Hash={HASH};Subject="{subject}";URI=http://testclient.lyft.com'
    one = Element(("http://frontend.lyft.com",), HASH, subject, ("http://testclient.lyft.com",))
    assert parse(both) == [one]
    two = f"{both},By=http://backend.lyft.com;Hash=9ba6;URI=http://frontend.lyft.com"
    assert parse(two) == [one, Element(("http://backend.lyft.com",), "9ba6", "", ("http://frontend.lyft.com",))]
    names = f'By=http://frontend.lyft.com;Hash={HASH};Subject="{subject}";URI=http://a;DNS=lyft.com;DNS=www.lyft.com'
    assert parse(names)[0].dns == ("lyft.com", "www.lyft.com")


def test_quotes() -> None:
    assert parse(r'Subject="CN=a\"b,OU=c;d\\";URI=x') == [Element(subject='CN=a"b,OU=c;d\\', uri=("x",))]
    # What stands in quotes is no pair of its own.
    assert parse('Subject="x;URI=spiffe://evil,URI=spiffe://evil";URI=spiffe://good')[0].uri == ("spiffe://good",)
    assert parse('Subject="";URI=') == [Element()]


@pytest.mark.parametrize(
    "value",
    [
        "", ",", ";", "URI", "=x", "URI=a,", "URI=a;", ",URI=a", "URI=a,,URI=b", 'Subject="a', 'Subject="a"b', 'Subject=a"b"', "URI=a b",
        "Hash=a;Hash=b", 'Subject="a";subject="b"', "URI=a;;URI=b", 'Subject="a\\"', "URI=a\n,URI=b", "URI==a", "x" * 70_000,
        ",".join(["URI=a"] * 33), ";".join(["URI=a"] * 34),
    ],
)  # fmt: skip
def test_what_is_not_of_the_form_is_refused_as_a_whole(value: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(value)
    with pytest.raises(Reject) as raised:
        Certified(Mesh(workloads=(Workload(uri=SPIFFE),), trusted=True)).find(value)
    assert (raised.value.fault.status, raised.value.fault.code) == (401, "invalid_client_certificate")


_TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)
_PLAIN = st.from_regex(re.compile(r"[A-Za-z0-9:/._~%-]{0,20}", re.ASCII), fullmatch=True)


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(_PLAIN, _TEXT, st.lists(st.tuples(st.booleans(), _PLAIN), max_size=3)), min_size=1, max_size=4))
def test_what_is_written_is_read(elements: list[tuple[str, str, list[tuple[bool, str]]]]) -> None:
    """Whatever stands in a subject, which a client may have chosen: it stays there."""
    written = ",".join(
        ";".join([f"Hash={hash_}", f"Subject={quoted(subject)}", *(f"URI={quoted(uri) if in_quotes else uri}" for in_quotes, uri in uris)])
        for hash_, subject, uris in elements
    )
    expected = [
        Element(hash=hash_, subject=subject, uri=tuple(uri for _, uri in uris if uri)) for hash_, subject, uris in elements
    ]  # fmt: skip
    assert parse(written) == expected


@settings(max_examples=100, deadline=None)
@given(st.text(st.sampled_from('aURIBy=;,"\\ x/'), max_size=40))
def test_anything_is_read_or_refused(value: str) -> None:
    with contextlib.suppress(ValueError):
        assert 1 <= len(parse(value)) <= 32


def found(header: str, *workloads: Workload, element: str = "last") -> Identity | None:
    caller = Certified(Mesh(workloads=workloads, trusted=True, element="first" if element == "first" else "last")).find(header)
    return caller.identity if caller is not None else None


def test_names_become_callers() -> None:
    header = "By=spiffe://cluster.local/ns/gw/sa/gw;URI=spiffe://cluster.local/ns/research/sa/bot;DNS=Bot.Team.example"
    assert found(header, Workload(uri=SPIFFE)) == Identity("research", "bot")
    assert found(header, Workload(uri="spiffe://cluster.local/ns/research/sa/{key}", tenant="lab")) == Identity("lab", "bot")
    assert found(header, Workload(uri="spiffe://cluster.local/ns/*/sa/bot", key="b")) == Identity("b", "b")
    whole = "spiffe://cluster.local/ns/research/sa/bot"
    assert found(header, Workload(uri=whole, tenant="t")) == Identity("t", whole)
    assert found(header, Workload(dns="{key}.team.example", tenant="t")) == Identity("t", "bot")
    # The first pattern counts.
    assert found(header, Workload(uri=whole, key="one"), Workload(uri=SPIFFE)) == Identity("one", "one")


@pytest.mark.parametrize(
    "uri",
    [
        "spiffe://other/ns/research/sa/bot", "spiffe://cluster.local/ns/research/sa/bot/more", "spiffe://cluster.local/ns/a/b/sa/bot",
        "spiffe://cluster.local/ns//sa/bot", "spiffe://cluster.local/ns/own:1/sa/bot", "spiffe://cluster.local/ns/a%2Fb/sa/bot",
        "xspiffe://cluster.local/ns/a/sa/b", "SPIFFE://cluster.local/ns/a/sa/b", "spiffe://clusterxlocal/ns/a/sa/b",
    ],
)  # fmt: skip
def test_names_that_only_resemble_a_pattern(uri: str) -> None:
    assert found(f"URI={uri}", Workload(uri=SPIFFE)) is None


def test_nothing_but_the_clients_names_count() -> None:
    name = "spiffe://cluster.local/ns/a/sa/b"
    for header in (f"By={name}", f'Subject="{name}"', f"Hash={name}", f"DNS={name}", f"Cert={name}", f"New={name}"):
        assert found(header, Workload(uri=SPIFFE)) is None


def test_which_of_several_counts() -> None:
    header = "URI=spiffe://cluster.local/ns/a/sa/first,URI=spiffe://cluster.local/ns/a/sa/last"
    assert found(header, Workload(uri=SPIFFE)) == Identity("a", "last")
    assert found(header, Workload(uri=SPIFFE), element="first") == Identity("a", "first")
    # What comes before the one that counts has to be of the form as well.
    with pytest.raises(Reject):
        found(f"nonsense,{header}", Workload(uri=SPIFFE))


@pytest.mark.parametrize("text", ["{tenant}/{tenant}", "a{b}", "{key", "key}", "{tenant}{key}", "*{key}", "{key}*", "**"])
def test_patterns_that_say_nothing_certain(text: str) -> None:
    assert pattern_fault(text) is not None


@pytest.mark.parametrize("text", [SPIFFE, "*", "spiffe://x/*/{key}", "{key}.team.example"])
def test_patterns(text: str) -> None:
    assert pattern_fault(text) is None


def test_names_say_whom_of_the_store_somebody_belongs_to() -> None:
    header = "URI=spiffe://cluster.local/ns/research/sa/bot"
    workload = Workload(uri=SPIFFE, organization="{tenant}", service_account="sa-{key}")
    caller = Certified(Mesh(workloads=(workload,), trusted=True)).find(header)
    assert caller is not None and caller.claim is not None
    assert (caller.claim.said, caller.claim.refuse) == (Claimed("", "research", "", "", "sa-bot"), True)
    without = Certified(Mesh(workloads=(Workload(uri=SPIFFE),), trusted=True)).find(header)
    assert without is not None and without.claim is None
