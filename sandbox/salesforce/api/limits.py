"""`/limits`: what the org may use and has used."""

from __future__ import annotations

from sandbox.salesforce.api.http import Call, Operation, Reply, not_allowed
from sandbox.salesforce.api.service import Service
from sandbox.salesforce.errors import not_found


class Limits:
    """The limits resources. Only DailyApiRequests is counted; other limits of a real org are left out."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def plan(self, call: Call) -> Operation:
        """Which operation a request is.

        Raises:
            SalesforceError: 404 or 405.
        """
        if call.method != "GET":
            raise not_allowed(call.method, ("GET", "HEAD"))
        if len(call.segments) == 1:
            return Operation("limits", "limits", self._limits)
        if call.segments[1:] == ("recordCount",):
            return Operation("limits recordCount", "limits", lambda: self._record_count(call))
        raise not_found()

    def _limits(self) -> Reply:
        usage = self._service.usage
        daily = {"Max": usage.limit, "Remaining": max(0, usage.limit - usage.used())}
        return Reply(200, {"DailyApiRequests": daily})

    def _record_count(self, call: Call) -> Reply:
        """Records per object; objects without any are left out, as recorded. Here the count is exact."""
        asked = [name.strip() for name in call.query.get("sObjects", "").split(",") if name.strip()]
        with self._service.org.lock:
            view = self._service.view
            objects = [s for name in asked if (s := view.find(name))] if asked else list(view.objects.values())
            counts = [
                {"count": sum(not row.get("IsDeleted") for row in table.rows.values()), "name": sobject.name}
                for sobject in objects
                if (table := self._service.org.tables[sobject.name]).rows
            ]
        return Reply(200, {"sObjects": [count for count in counts if count["count"]]})
