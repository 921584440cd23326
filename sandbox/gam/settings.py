"""What can be chosen for a simulated Ad Manager network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

# Made-up, fixed: the vendor converts at the day's rate, which a sandbox cannot know. Units of USD per unit.
_RATES = {"EUR": "1.10", "GBP": "1.28", "CAD": "0.75", "AUD": "0.69", "SEK": "0.105", "DKK": "0.147", "NOK": "0.11"}


@dataclass(frozen=True)
class Settings:
    """One network and its limits.

    Attributes:
        version: API version served; there must be a contract table for it.
        time_zone: IANA zone of the network; report days and returned DateTimes are in it.
        currency: the network's primary currency; `secondary_currencies` may price lines too, and those that its people add.
        exchange_rates: units of the primary currency per unit of another one, for revenue and budgets; 1 for any that is not
            named.
        batch_limit: objects in one create or update call (no vendor figure is published; the project's is 50).
        lines_per_order: the vendor's published system maximum.
        report_jobs_per_hour: new report jobs per user and hour of machine time (QuotaError.REPORT_JOB_LIMIT: 250).
        report_polls: how many status calls answer IN_PROGRESS before a job is COMPLETED.
        report_seconds: how long a job is IN_PROGRESS at least, machine time.
        token_seconds: life of an access token, machine time.
        static_tokens: bearer tokens that are good besides the issued ones; a fault can still expire them.
        daily_impressions: what the network can serve in a day, all of it matching any targeting.
    """

    version: str = "v202608"
    network_code: str = "123456"
    network_name: str = "Sandbox Network"
    time_zone: str = "America/New_York"
    currency: str = "USD"
    secondary_currencies: tuple[str, ...] = tuple(_RATES)
    exchange_rates: Mapping[str, Decimal] = field(
        default_factory=lambda: {code: Decimal(rate) for code, rate in _RATES.items()}
    )
    batch_limit: int = 50
    lines_per_order: int = 450
    report_jobs_per_hour: int = 250
    report_polls: int = 1
    report_seconds: float = 0.0
    token_seconds: int = 3600
    static_tokens: frozenset[str] = frozenset({"sandbox-token"})
    daily_impressions: int = 1_000_000_000

    def in_network_currency(self, micros: int, currency: str) -> int:
        """An amount in micros of the primary currency, rounded half up."""
        if currency == self.currency:
            return micros
        rate = self.exchange_rates.get(currency, Decimal(1))
        return int((Decimal(micros) * rate).quantize(Decimal(1), "ROUND_HALF_UP"))
