"""What levels say of limits, as rules: each is counted where it stands, and counts on when its amount changes."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from extproc.identity.levels import ORDER, Applied
from extproc.identity.rules import rules_of
from extproc.identity.settings import Limit
from extproc.limits.money import NANOS
from extproc.limits.rule import MOST, THRESHOLDS, Rule
from extproc.limits.window import UNDER_WAY, Window

amounts = st.integers(0, 10**12).map(Decimal)
windows = st.sampled_from(["second", "minute", "hour", "day", "week", "month"])
per = st.lists(st.sampled_from(["model", "end_user", "tag:env"]), unique=True, max_size=2).map(tuple)
limits = st.one_of(
    st.builds(
        Limit, unit=st.sampled_from(["requests", "tokens", "cost"]), amount=amounts, window=windows, per=per, hard=st.booleans(),
        zone=st.sampled_from(["UTC", "Europe/Berlin"]), thresholds=st.lists(st.sampled_from([0.8, 0.5]), max_size=2).map(tuple),
        on_outage=st.sampled_from(["open", "closed", "share"]),
    ),
    st.builds(Limit, unit=st.just("cost"), amount=amounts, seconds=st.integers(1, 100)),
    st.builds(Limit, unit=st.just("concurrency"), amount=amounts),
)  # fmt: skip
applied = st.builds(Applied, st.sampled_from(ORDER), st.sampled_from(["", "a", "b"]), limits, st.sampled_from(["", "free"]))


@given(st.lists(applied, max_size=6))
def test_each_limit_is_a_rule_with_counters_of_its_own(given: list[Applied]) -> None:
    rules = rules_of(given, "org")
    assert len({rule.id for rule in rules}) == len(rules) == len(given)
    for one, rule in zip(given, rules, strict=True):
        limit = one.limit
        scale = NANOS if limit.unit == "cost" else 1
        assert (rule.unit, rule.amount) == (limit.unit, min(MOST, int(limit.amount) * scale))
        assert (rule.per, rule.hard, rule.on_outage) == (limit.per, limit.hard, limit.on_outage)
        assert rule.thresholds == (tuple(sorted(set(limit.thresholds))) or THRESHOLDS)
        assert rule.group == ("" if one.kind in ("gateway", "user") else "org")
        window = UNDER_WAY if limit.unit == "concurrency" else Window("sliding", limit.seconds) if limit.seconds else None
        assert rule.window == window or (window is None and rule.window.length == limit.window)


@given(st.lists(applied, max_size=6), amounts)
def test_another_amount_counts_on(given: list[Applied], amount: Decimal) -> None:
    changed = [replace(one, limit=replace(one.limit, amount=amount)) for one in given]
    assert [rule.id for rule in rules_of(changed, "org")] == [rule.id for rule in rules_of(given, "org")]


def test_what_rules_are_called() -> None:
    month = Limit(unit="cost", amount=Decimal("0.5"), window="month", zone="Europe/Berlin")
    each = Limit(unit="requests", amount=Decimal(5), window="hour", zone="Europe/Berlin", per=("model",))
    given = (
        Applied("gateway", "", each), Applied("organization", "org_1", month, "free"), Applied("organization", "org_1", month, "free"),
    )  # fmt: skip
    plan = "organization org_1, plan free: cost a month (Europe/Berlin)"
    assert [rule.id for rule in rules_of(given, "org_1")] == ["gateway: requests an hour per model", plan, f"{plan} #2"]
    assert rules_of(given[1:2], "org_1") == (
        Rule(id=plan, unit="cost", amount=NANOS // 2, window=Window("month", zone="Europe/Berlin"), group="org_1", on_outage="open"),
    )
