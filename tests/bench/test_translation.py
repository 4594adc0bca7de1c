"""What is measured of translation is translated, whole and in order, and what is above a limit is marked."""

import msgspec
import pytest

from bench import dialogue, report, targets, translation, translation_counts
from bench.translation import ALL, EVENT_US, PAIR_US, Both
from extproc.answering import StreamTranslated
from tests.bench.samples import outcome
from tests.cases import cases


@cases("both", ALL, ids=str)
def test_a_pair(both: Both) -> None:
    terms = both.terms()
    assert 9_000 < len(dialogue.request(both.client)) < 11_000
    asked = terms.client.read_request(msgspec.json.decode(dialogue.request(both.client)))
    written = msgspec.json.encode(terms.provider.write_request(asked, dialogue.MODELS[both.provider]))
    assert len(written) > 9_000
    assert all(word in written for word in (b"careful analyst", b"look_up", b"14120", b"4711", b"Whom to."))
    assert asked.dropped == []
    answer = both.pair(terms)
    assert all(word in answer for word in (b"as above", b"send", b"412"))


@cases("both", ALL, ids=str)
def test_events(both: Both) -> None:
    answering = StreamTranslated(200, both.terms())
    pieces = [b"".join(answering.feed(chunk, False)) for chunk in dialogue.stream(both.provider, 3)]
    last = b"".join(answering.feed(b"", True))
    assert [b" word%d" % at in pieces[at + 1] for at in range(3)] == [True] * 3
    assert b"The" in pieces[0]
    assert answering.finished
    assert answering.usage is not None
    assert answering.usage.input == 2310
    assert b'"error":{' not in pieces[-1] + last


def found(pair: float, event: float) -> translation.Found:
    """Of one pair of dialects; all others are cheap."""
    return {str(both): [(pair, event) if both == Both("gemini", "openai") else (1.0, 1.0)] * 3 for both in ALL}


def test_what_is_too_much_is_marked() -> None:
    pairs, events = translation.tables(found(PAIR_US + 1, EVENT_US))
    (row,) = [row for row in pairs[1] if row[0] == "gemini"]
    assert row == ["gemini", f"{PAIR_US + 1} (!)", "1", "1", "-", "1", "1", "1"]
    assert not any("(!)" in cell for row in events[1] for cell in row)
    assert pairs[0][1:] == ["openai", "anthropic", "responses", "gemini", "cohere", "ollama", "bedrock"]


@pytest.mark.parametrize(("pair", "event"), [(PAIR_US, EVENT_US + 1), (PAIR_US + 1, EVENT_US), (10, 10)])
def test_verdicts(pair: float, event: float) -> None:
    made = outcome([], translation=found(pair, event))
    verdicts = targets.verdicts(made)[-2:]
    assert [verdict.met for verdict in verdicts] == [pair <= PAIR_US, event <= EVENT_US]
    assert [verdict.measured.median for verdict in verdicts if verdict.measured] == [pair, event]
    assert "## Translation" in report.markdown(made)
    assert [verdict.met for verdict in targets.verdicts(outcome([]))[-2:]] == [None, None]


def test_one_round() -> None:
    *_, last = translation.measure(1)
    assert all(len(rounds) == 1 and min(rounds[0]) > 0 for rounds in last.values())


@pytest.mark.parametrize(("what", "limit"), [("pair", translation_counts.PAIR), ("event", translation_counts.EVENT)])
def test_counts(what: str, limit: int) -> None:
    counts = {kind.name: 1.0 for kind in translation_counts.kinds()}
    assert translation_counts.report(counts)[1]
    text, good = translation_counts.report(counts | {f"{what}, gemini > openai": limit + 1.0})
    assert not good
    (line,) = [line for line in text.splitlines() if "TOO MUCH" in line]
    assert line.startswith("gemini ")


def test_of_the_round_that_was_least_disturbed() -> None:
    rounds = {
        str(both): [(PAIR_US * 2.0, EVENT_US * 2.0), (PAIR_US - 1.0, EVENT_US - 1.0), (PAIR_US * 3.0, EVENT_US * 3.0)] for both in ALL
    }
    assert all("(!)" in cell for _, rows in translation.tables(rounds) for row in rows for cell in row[1:] if cell != "-")
    assert not any("(!)" in cell for _, rows in translation.tables(rounds, 0) for row in rows for cell in row)
