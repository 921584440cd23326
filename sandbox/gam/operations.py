"""Which function answers which SOAP operation, and how it is counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sandbox.gam.companies import create_companies, get_companies, update_companies
from sandbox.gam.creatives import (
    create_associations,
    create_creatives,
    get_associations,
    get_creatives,
    perform_association_action,
    update_associations,
)
from sandbox.gam.custom_targeting import create_keys, create_values, get_keys, get_values
from sandbox.gam.forecast import get_availability_forecast, get_availability_forecast_by_id
from sandbox.gam.inventory import get_ad_units, get_all_networks, get_current_network
from sandbox.gam.line_items import (
    create_line_items,
    get_line_items,
    perform_line_item_action,
    update_line_items,
)
from sandbox.gam.lookup_tables import select_rows
from sandbox.gam.network import Network
from sandbox.gam.order_actions import perform_order_action
from sandbox.gam.orders import create_orders, get_orders, update_orders
from sandbox.gam.reports import ReportJobs
from sandbox.gam.soap import Native
from sandbox.gam.users import get_all_roles, get_current_user, get_users
from sandbox.serving import Kind

WRITES = ("create", "update", "act")


@dataclass(frozen=True)
class Call:
    """One call: who makes it, with which arguments, and where the sandbox can be reached (`address`)."""

    network: Network
    reports: ReportJobs
    arguments: Native
    user_id: int
    application: str | None
    address: str

    def many(self, name: str) -> list[Native]:
        """A repeated argument."""
        return list(self.arguments.get(name, ()))

    def one(self, name: str) -> Native:
        """A single object argument, empty if it was left out."""
        return dict(self.arguments.get(name) or {})

    @property
    def statement(self) -> Native | None:
        """The argument `filterStatement`."""
        return self.arguments.get("filterStatement")


@dataclass(frozen=True)
class Answer:
    """How an operation is counted (`kind`, and the repeated or statement argument's type), and what answers it.

    `creates` names the table whose new objects an index lag can hide.
    """

    kind: Kind
    perform: Callable[[Call], Any]
    creates: str | None = None

    @property
    def is_write(self) -> bool:
        """Whether fault knobs that name no operation strike it."""
        return self.kind in WRITES


ANSWERS: dict[str, Answer] = {
    "getAllNetworks": Answer("read", lambda call: get_all_networks(call.network)),
    "getCurrentNetwork": Answer("read", lambda call: get_current_network(call.network)),
    "getAllRoles": Answer("read", lambda call: get_all_roles(call.network)),
    "getCurrentUser": Answer("read", lambda call: get_current_user(call.network, call.user_id)),
    "getUsersByStatement": Answer("read", lambda call: get_users(call.network, call.statement)),
    "createCompanies": Answer("create", lambda call: create_companies(call.network, call.many("companies")), "Company"),
    "updateCompanies": Answer("update", lambda call: update_companies(call.network, call.many("companies"))),
    "getCompaniesByStatement": Answer("read", lambda call: get_companies(call.network, call.statement)),
    "createOrders": Answer(
        "create",
        lambda call: create_orders(call.network, call.many("orders"), call.user_id, call.application),
        "Order",
    ),
    "updateOrders": Answer("update", lambda call: update_orders(call.network, call.many("orders"), call.application)),
    "getOrdersByStatement": Answer("read", lambda call: get_orders(call.network, call.statement)),
    "performOrderAction": Answer(
        "act",
        lambda call: perform_order_action(call.network, call.one("orderAction"), call.statement, call.user_id),
    ),
    "createLineItems": Answer(
        "create",
        lambda call: create_line_items(call.network, call.many("lineItems"), call.application),
        "LineItem",
    ),
    "updateLineItems": Answer(
        "update", lambda call: update_line_items(call.network, call.many("lineItems"), call.application)
    ),
    "getLineItemsByStatement": Answer("read", lambda call: get_line_items(call.network, call.statement)),
    "performLineItemAction": Answer(
        "act",
        lambda call: perform_line_item_action(call.network, call.one("lineItemAction"), call.statement),
    ),
    "createLineItemCreativeAssociations": Answer(
        "create",
        lambda call: create_associations(call.network, call.many("lineItemCreativeAssociations")),
    ),
    "updateLineItemCreativeAssociations": Answer(
        "update",
        lambda call: update_associations(call.network, call.many("lineItemCreativeAssociations")),
    ),
    "getLineItemCreativeAssociationsByStatement": Answer(
        "read", lambda call: get_associations(call.network, call.statement)
    ),
    "performLineItemCreativeAssociationAction": Answer(
        "act",
        lambda call: perform_association_action(
            call.network, call.one("lineItemCreativeAssociationAction"), call.statement
        ),
    ),
    "createCreatives": Answer(
        "create", lambda call: create_creatives(call.network, call.many("creatives")), "Creative"
    ),
    "getCreativesByStatement": Answer("read", lambda call: get_creatives(call.network, call.statement)),
    "getAvailabilityForecast": Answer(
        "read",
        lambda call: get_availability_forecast(call.network, call.one("lineItem"), call.one("forecastOptions")),
    ),
    "getAvailabilityForecastById": Answer(
        "read",
        lambda call: get_availability_forecast_by_id(
            call.network, call.arguments.get("lineItemId", 0), call.one("forecastOptions")
        ),
    ),
    "runReportJob": Answer("report", lambda call: call.reports.run(call.one("reportJob"))),
    "getReportJobStatus": Answer("report", lambda call: call.reports.status(call.arguments.get("reportJobId", 0))),
    "getReportDownloadURL": Answer(
        "report",
        lambda call: call.reports.download_url(
            call.arguments.get("reportJobId", 0),
            {"exportFormat": call.arguments.get("exportFormat", "CSV_DUMP")},
            call.address,
        ),
    ),
    "getReportDownloadUrlWithOptions": Answer(
        "report",
        lambda call: call.reports.download_url(
            call.arguments.get("reportJobId", 0), call.one("reportDownloadOptions"), call.address
        ),
    ),
    "getAdUnitsByStatement": Answer("read", lambda call: get_ad_units(call.network, call.statement)),
    "createCustomTargetingKeys": Answer(
        "create", lambda call: create_keys(call.network, call.many("keys")), "CustomTargetingKey"
    ),
    "createCustomTargetingValues": Answer(
        "create", lambda call: create_values(call.network, call.many("values")), "CustomTargetingValue"
    ),
    "getCustomTargetingKeysByStatement": Answer("read", lambda call: get_keys(call.network, call.statement)),
    "getCustomTargetingValuesByStatement": Answer("read", lambda call: get_values(call.network, call.statement)),
    "select": Answer("read", lambda call: select_rows(call.network, call.arguments.get("selectStatement"))),
}
