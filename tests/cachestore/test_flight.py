"""Single flight: leads end by release, by death, by lease; nobody waits for a lead that has ended."""

from extproc.cachestore.flight import Flights

KEY, OTHER = b"k" * 32, b"o" * 32


def test_value_reaches_all_who_wait() -> None:
    flights = Flights(10)
    seen: list[tuple[str, bytes | None]] = []
    assert flights.lead(KEY, b"1", "a", 0.0)
    assert not flights.lead(KEY, b"2", "b", 0.0)
    assert flights.lead(OTHER, b"3", "b", 0.0)
    flights.wait(KEY, b"2", "b", lambda value: seen.append(("2", value)))
    flights.wait(KEY, b"4", "c", lambda value: seen.append(("4", value)))
    flights.leave(KEY, b"4")
    flights.deliver(KEY, b"1", b"value")
    assert seen == [("2", b"value")]
    assert flights.lead(KEY, b"5", "c", 0.0)


def test_only_the_leader_ends_the_lead() -> None:
    flights = Flights(10)
    seen: list[bytes | None] = []
    flights.lead(KEY, b"1", "a", 0.0)
    flights.wait(KEY, b"2", "b", seen.append)
    flights.release(KEY, b"9")
    assert not flights.lead(KEY, b"3", "b", 0.0)
    flights.release(KEY, b"1")
    assert seen == [None]
    flights.release(KEY, b"1")
    assert len(flights) == 0


def test_the_dead_neither_lead_nor_wait() -> None:
    flights = Flights(10)
    seen: list[str] = []
    flights.lead(KEY, b"1", "a", 0.0)
    flights.lead(OTHER, b"2", "b", 0.0)
    flights.wait(KEY, b"3", "b", lambda _: seen.append("b"))
    flights.wait(OTHER, b"4", "a", lambda _: seen.append("a"))
    flights.dead("a")
    assert seen == ["b"]
    flights.release(OTHER, b"2")
    assert seen == ["b"]


def test_a_lease_runs_out() -> None:
    flights = Flights(10)
    seen: list[bytes | None] = []
    flights.lead(KEY, b"1", "a", 0.0)
    flights.wait(KEY, b"2", "b", seen.append)
    assert not flights.lead(KEY, b"3", "c", 9.9)
    assert flights.lead(KEY, b"3", "c", 10.0)
    flights.release(KEY, b"1")
    assert seen == []
    # Whoever had it before may still bring the value, and does not end the other's lead with it.
    flights.deliver(KEY, b"1", b"value")
    assert seen == [b"value"]
    assert not flights.lead(KEY, b"4", "d", 10.0)
    flights.deliver(KEY, b"3", b"value")
    assert flights.lead(KEY, b"4", "d", 10.0)


def test_forgotten_leads_do_not_gather() -> None:
    flights = Flights(10)
    for number in range(100):
        flights.lead(b"%032d" % number, b"1", "a", float(number))
    assert len(flights) < 12
