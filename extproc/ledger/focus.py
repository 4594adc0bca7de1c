"""Charges as FinOps tools read them: FOCUS 1.2, https://focus.finops.org/focus-specification/v1-2/.

A row is what one key used of one provider's model on one day. Who runs the gateway issues the invoice, an organization is the billing
account, its project or team the sub account. `ListCost` is what the provider charges, the other costs are what is charged here. Columns
with `x_` are our own, as the specification wants it; what it makes conditional and nobody here has (commitments, zones, other currencies)
is left out.
"""

from calendar import monthrange
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from decimal import Decimal

from extproc.ledger.money import plain
from extproc.ledger.report import Row
from extproc.ledger.spreadsheet import as_csv, cell

BY = (
    "day", "organization", "project", "team", "user", "service_account", "key_id", "key", "cost_centre", "tags", "provider", "model",
    "target",
)  # fmt: skip
"""What rows have to be told apart by."""

COLUMNS = (
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingAccountType", "BillingCurrency", "BillingPeriodEnd",
    "BillingPeriodStart", "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargeFrequency", "ChargePeriodEnd",
    "ChargePeriodStart", "ConsumedQuantity", "ConsumedUnit", "ContractedCost", "EffectiveCost", "InvoiceIssuerName", "ListCost",
    "PricingQuantity", "PricingUnit", "ProviderName", "PublisherName", "ServiceCategory", "ServiceName", "ServiceSubcategory", "SkuId",
    "SubAccountId", "SubAccountName", "SubAccountType", "Tags",
    "x_CostCentre", "x_InputTokens", "x_KeyId", "x_KeyName", "x_OutputTokens", "x_Requests", "x_ServiceAccountId", "x_TeamId",
    "x_UnpricedRequests", "x_UserId",
)  # fmt: skip
_OTHERS = "unassigned"
"""The billing account of requests whose key belongs to nobody: it must not be null."""


def charges(rows: Iterable[Row], issuer: str, names: Mapping[str, str] | None = None) -> Iterator[dict[str, str]]:
    """The rows of a report by `BY`, each as a charge. Null is empty. `issuer`: who runs the gateway. `names`: of organizations, projects
    and teams, by id.
    """
    known = names or {}
    for row in rows:
        yield _whose(row.group, known) | _when(date.fromisoformat(row.group["day"])) | _what(row, issuer)


def csv(rows: Iterable[Row], issuer: str, names: Mapping[str, str] | None = None) -> str:
    """The same as CSV."""
    return as_csv(COLUMNS, charges(rows, issuer, names))


def _whose(group: Mapping[str, str], names: Mapping[str, str]) -> dict[str, str]:
    organization, project, team = group["organization"], group["project"], group["team"]
    part = project or team
    return {
        "BillingAccountId": organization or _OTHERS,
        "BillingAccountName": cell(names.get(organization, "")),
        "BillingAccountType": "Organization",
        "SubAccountId": part,
        "SubAccountName": cell(names.get(part, "")),
        "SubAccountType": "Project" if project else "Team" if team else "",
        "Tags": group["tags"] or "{}",
        "x_CostCentre": cell(group["cost_centre"]),
        "x_KeyId": group["key_id"],
        "x_KeyName": cell(group["key"]),
        "x_ServiceAccountId": group["service_account"],
        "x_TeamId": team,
        "x_UserId": group["user"],
    }


def _when(day: date) -> dict[str, str]:
    first = day.replace(day=1)
    return {
        "BillingPeriodStart": _moment(first),
        "BillingPeriodEnd": _moment(first + timedelta(monthrange(day.year, day.month)[1])),
        "ChargePeriodStart": _moment(day),
        "ChargePeriodEnd": _moment(day + timedelta(1)),
    }


def _moment(day: date) -> str:
    return f"{day.isoformat()}T00:00:00Z"


def _what(row: Row, issuer: str) -> dict[str, str]:
    group, charged = row.group, plain(row.price)
    unit, quantity = _used(row)
    provider, target = cell(group["provider"] or issuer), group["target"] or group["model"]
    return {
        "BilledCost": charged, "ContractedCost": charged, "EffectiveCost": charged, "ListCost": plain(row.cost),
        "BillingCurrency": "USD", "ChargeCategory": "Usage", "ChargeClass": "", "ChargeFrequency": "Usage-Based",
        "ChargeDescription": cell(f"{row.requests} requests to {target} of {group['provider'] or 'nobody'}"),
        "ConsumedQuantity": quantity, "ConsumedUnit": unit, "PricingQuantity": quantity, "PricingUnit": unit,
        "InvoiceIssuerName": cell(issuer), "ProviderName": provider, "PublisherName": provider,
        "ServiceCategory": "AI and Machine Learning", "ServiceSubcategory": "Generative AI", "ServiceName": cell(target or "unknown"),
        "SkuId": cell(f"{group['provider']}/{target}"),
        "x_InputTokens": str(row.input), "x_OutputTokens": str(row.output), "x_Requests": str(row.requests),
        "x_UnpricedRequests": str(row.unpriced + row.unmetered),
    }  # fmt: skip


def _used(row: Row) -> tuple[str, str]:
    """What is counted, and how much of it. Of one model it is one thing; where it is several, tokens are the money."""
    if tokens := row.input + row.output:
        return "Tokens", str(tokens)
    units = (("Images", row.images), ("Seconds", row.seconds), ("Characters", row.characters), ("Searches", row.searches))
    return next(((unit, plain(Decimal(repr(count)))) for unit, count in units if count), ("Requests", str(row.requests)))
