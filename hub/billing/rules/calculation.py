"""The calculation of one line-period: what may be billed now, or why nothing may; with every step explained.

The order of the steps is the domain study's (section 3): source, final, variance, cap, less what is billed, price, round
once, commission, tax. Pure: the same case and rule set give the same result, byte for byte.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from hub.billing.rules import agency, cap, refusals, schedule, spread, tax
from hub.billing.rules.cost import BILLED_UNIT, contract_value, contracted_quantity, cost, per
from hub.billing.rules.explanation import Explanation, Flag, Rule, shown_amount
from hub.billing.rules.line_period import Billable, Blocked, CancelledContract, LinePeriodCase
from hub.billing.rules.refusals import NotBillable
from hub.billing.rules.rule_set import CURRENT, RuleSet, rule_set
from hub.billing.rules.source import Counted, chosen, contracted_count, live_hours, publisher_count
from oms_schema.billing_terms import BillingSchedule, BillingSource, CapMode
from oms_schema.document import Amounts
from oms_schema.line import CostMethod, PriceBasis
from oms_schema.money import MICROS, Money


def calculate(case: LinePeriodCase, rules: RuleSet = CURRENT) -> Billable | Blocked:
    """The billable result of a line-period, or the reasons that block it. Raises nothing for a valid case."""
    return _Calculation(case, rules).result()


def replay(inputs: bytes, rules_version: str) -> Billable | Blocked:
    """Calculate again from a stored case (`LinePeriodCase.canonical_bytes`) by the rules of that version.

    Raises UnknownRuleSet, and pydantic.ValidationError when the bytes are no case.
    """
    return calculate(LinePeriodCase.from_bytes(inputs), rule_set(rules_version))


@dataclass
class _Calculation:
    case: LinePeriodCase
    rules: RuleSet
    why: Explanation = field(default_factory=Explanation)
    flags: list[Flag] = field(default_factory=list)

    def result(self) -> Billable | Blocked:
        case = self.case
        try:
            return self._billable()
        except NotBillable as refusal:
            return Blocked(
                line_id=case.line_id,
                order_id=case.order_id,
                period=case.period,
                problems=(refusal.problem,),
                disputed=refusal.disputed,
                flags=tuple(self.flags),
                steps=self.why.steps,
                rules=self.rules.version,
                inputs_hash=case.content_hash(),
            )

    def _billable(self) -> Billable:
        case, terms, price = self.case, self.case.terms, self.case.price
        flat = price.method is CostMethod.FLAT
        contracted = flat or terms.source is BillingSource.CONTRACTED
        delivered_schedules = (BillingSchedule.AS_DELIVERED, BillingSchedule.END_OF_CAMPAIGN)
        if not contracted and terms.schedule not in delivered_schedules:
            raise refusals.terms_contradict(terms.source.value, terms.schedule.value)
        if price.basis is PriceBasis.NET and case.agency_billed and price.commission_ppm == MICROS:
            raise refusals.no_value_left(price.commission_ppm)
        if case.billed:
            documents = ", ".join(f"{part.document_id} position {part.number}" for part in case.billed)
            self.flags.append(Flag.ALREADY_BILLED)
            sentence = f"The period is billed already ({documents}); later news is an adjustment."
            self.why.add(Rule.ALREADY_BILLED, 0, sentence, documents=documents)
            return self._nothing()
        if not case.period_over and terms.schedule is not BillingSchedule.PREPAID:
            raise refusals.period_open(case.period.label)
        self.why.add(Rule.PERIOD, "over" if case.period_over else "prepaid", f"The period is {case.period.label}.")
        if contracted and case.cancelled is not None and case.override is None:
            if case.cancelled.ends_on is None:
                raise refusals.cancelled(case.line_id, case.period.label)
            return self._until_cancelled(case.cancelled, case.cancelled.ends_on)
        if flat or (contracted and terms.schedule is not BillingSchedule.AS_DELIVERED):
            return self._by_value()
        return self._by_count(contracted=contracted)

    # ------------------------------------------------------------ the contract's value, spread over the periods
    def _by_value(self) -> Billable:
        case, price = self.case, self.case.price
        # A fee has no delivery to follow, so "as delivered" earns it by time.
        name = case.terms.schedule
        name = BillingSchedule.PRORATED if name is BillingSchedule.AS_DELIVERED else name
        if case.override is not None:
            raise refusals.override_without_count(name.value)
        total = contracted_quantity(price, case.goal, case.budget)
        self._check_size(total or 1)
        value = contract_value(price, total)
        if value is None:
            raise refusals.no_contract_quantity(price.method.value)
        self._check_flight()
        parts = schedule.amounts(name, value, case.flight, case.cycles)
        part = parts[case.place]
        units = None if total is None else schedule.quantities(name, total, case.flight, case.cycles)[case.place]
        sentence = (
            f"The {name.value} schedule bills {shown_amount(part)} of {shown_amount(value)} {value.currency} now."
        )
        self.why.add(Rule.SCHEDULE, part.amount, sentence, schedule=name.value, value=value.amount, place=case.place)
        booked = (
            spread.cycle_quantities(total, case.flight, case.flights, case.goal, case.cycles)[case.place]
            if total
            else 0
        )
        if name is not BillingSchedule.END_OF_CAMPAIGN:
            self._delivery_flags(publisher_count(case), booked)
        elif self._is_last_live():
            self._delivery_flags(publisher_count(case), total)
        if not part.micros:
            self.flags.append(Flag.NOT_THIS_PERIOD)
        left = Money(micros=max(0, value.micros - self._billed_elsewhere()), currency=value.currency)
        if part.micros > left.micros:
            sentence = (
                f"Other periods have billed all but {shown_amount(left)} {left.currency} of the contract's value."
            )
            self.why.add(Rule.CAP, left.amount, sentence, part=part.amount, left=left.amount)
            self.flags.append(Flag.NOTHING_LEFT if not left.micros else Flag.CAPPED)
            part = left
            units = 0 if units is not None and not left.micros else units
        split = agency.split(price, part, 1, 1, agency_billed=case.agency_billed)
        seen = publisher_count(case)
        count = None if units is None else Counted(units, seen, BillingSource.CONTRACTED, "contract")
        return self._priced(split, units, booked or None, count=count)

    def _until_cancelled(self, cancelled: CancelledContract, ends_on: date) -> Billable:
        """The part of the value that ran before the cancellation, by time, whatever the schedule would have billed when."""
        case, price = self.case, self.case.price
        total = contracted_quantity(price, case.goal, case.budget)
        self._check_size(total or 1)
        value = contract_value(price, total)
        if value is None:
            raise refusals.no_contract_quantity(price.method.value)
        self._check_flight()
        cycles = schedule.until(ends_on, case.cycles)
        place = next(place for place, cycle in enumerate(cycles) if cycle.start == case.period.start)
        ran = cycles[place].end <= ends_on
        part = Money.zero(value.currency)
        units = None if total is None else 0
        if ran:
            part = schedule.amounts(BillingSchedule.PRORATED, value, case.flight, cycles)[place]
            if total is not None:
                units = schedule.quantities(BillingSchedule.PRORATED, total, case.flight, cycles)[place]
        else:
            self.flags.append(Flag.NOT_THIS_PERIOD)
        sentence = (
            f"It was cancelled and is owed until {ends_on.isoformat()}, that day not included: by time {shown_amount(part)} of "
            f"{shown_amount(value)} {value.currency} ran in this period."
        )
        people = {"entered_by": cancelled.entered_by, "approved_by": cancelled.approved_by}
        self.why.add(Rule.SCHEDULE, part.amount, sentence, ends_on=ends_on.isoformat(), value=value.amount, **people)
        left = Money(micros=max(0, value.micros - self._billed_elsewhere()), currency=value.currency)
        if part.micros > left.micros:
            sentence = f"Other periods have billed all but {shown_amount(left)} {left.currency} of the value."
            self.why.add(Rule.CAP, left.amount, sentence, part=part.amount, left=left.amount)
            self.flags.append(Flag.NOTHING_LEFT if not left.micros else Flag.CAPPED)
            part, units = left, 0 if units is not None and not left.micros else units
        split = agency.split(price, part, 1, 1, agency_billed=case.agency_billed)
        count = None if units is None else Counted(units, publisher_count(case), BillingSource.CONTRACTED, "contract")
        return self._priced(split, units, None, count=count)

    def _billed_elsewhere(self) -> int:
        """Micros billed for the other periods, in the price's own basis."""
        amounts = [other.amounts for other in self.case.others if other.amounts is not None]
        if self.case.price.basis is PriceBasis.NET:
            return sum(part.net for part in amounts)
        return sum(part.gross for part in amounts)

    # ------------------------------------------------------------ a count, capped and priced
    def _by_count(self, *, contracted: bool) -> Billable:
        case, terms, price = self.case, self.case.terms, self.case.price
        total = contracted_quantity(price, case.goal, case.budget)
        at_end = not contracted and terms.schedule is BillingSchedule.END_OF_CAMPAIGN
        if at_end:
            self._check_flight()
        goals = self._cycle_goals(total, needed=contracted or (terms.cap in _CYCLE_CAPS and not at_end))
        booked = None if goals is None else goals[case.place]
        if at_end and not self._is_last_live():
            self.flags.append(Flag.NOT_THIS_PERIOD)
            self.why.add(
                Rule.SCHEDULE, 0, "The whole line is billed in its last period.", schedule=terms.schedule.value
            )
            return self._nothing(booked)
        if case.override is not None:
            override = case.override
            self.flags.append(Flag.OVERRIDE)
            sentence = f"An approved override sets the quantity to {override.quantity:,}: {override.reason}"
            people = {"requested_by": override.requested_by, "approved_by": override.approved_by}
            self.why.add(Rule.OVERRIDE, override.quantity, sentence, **people)
            count = Counted(override.quantity, contracted_count(case), terms.source, "override")
        elif contracted:
            count = Counted(booked or 0, publisher_count(case), BillingSource.CONTRACTED, "contract")
            sentence = f"The contract is billed, not the delivery: {count.quantity:,} units in this period."
            self.why.add(Rule.SOURCE, count.quantity, sentence, contracted=terms.source.value)
            if not booked:
                self.flags.append(Flag.NOT_THIS_PERIOD)
        else:
            count = chosen(case, self.rules, self.why, self.flags)
        if case.override is None:
            self._delivery_flags(count.delivered, (total or 0) if at_end else booked)
        self._check_size(max(count.quantity, total or 0))
        quantity = self._capped(count, total, goals, at_end=at_end, contracted=contracted)
        if case.override is not None and quantity < count.quantity:
            raise refusals.override_above_cap(count.quantity, quantity)
        quantity = count.quantity if case.override is not None else quantity
        bonus = 0 if contracted else max(0, count.quantity - quantity)
        split = agency.split(price, price.money, quantity, per(price.method), agency_billed=case.agency_billed)
        sentence = (
            f"{quantity:,} units at {shown_amount(price.money)} {price.basis.value} per {per(price.method):,} "
            f"make {shown_amount(split.gross)} {price.currency} gross."
        )
        self.why.add(
            Rule.PRICE, split.gross.amount, sentence, method=price.method.value, rate=price.rate, units=quantity
        )
        return self._priced(split, quantity, booked, bonus, count)

    def _capped(
        self, count: Counted, total: int | None, goals: tuple[int, ...] | None, *, at_end: bool, contracted: bool
    ) -> int:
        case, mode = self.case, self.case.terms.cap
        if contracted and case.override is None:
            # The contract's own quantity cannot exceed the contract; what other periods took beyond their part can.
            mode, at_end = CapMode.CUMULATIVE, False
        if mode is not CapMode.NO_CAP and total is None:
            raise refusals.no_contract_quantity(case.price.method.value)
        if at_end:
            taken = sum(other.quantity or 0 for other in case.others)
            ceiling = count.quantity if mode is CapMode.NO_CAP or total is None else min(count.quantity, total)
            quantity = max(0, ceiling - taken)
        else:
            quantity = cap.first_bill(
                mode, self._cycles(mode, count.quantity, goals, contracted=contracted), case.place, total
            )
        sentence = f"Under {mode.value}, {quantity:,} of {count.quantity:,} units are billable."
        self.why.add(Rule.CAP, quantity, sentence, mode=mode.value, total_goal=total, counted=count.quantity)
        if quantity < count.quantity and case.override is None:
            self.flags.append(Flag.CAPPED if quantity else Flag.NOTHING_LEFT)
            if not contracted:
                self.flags.append(Flag.BONUS)
        return quantity

    def _cycles(
        self, mode: CapMode, quantity: int, goals: tuple[int, ...] | None, *, contracted: bool
    ) -> list[cap.Cycle]:
        """The cycles as the cap sees them. A period that the cap needs and nobody knows is a reason to wait."""
        case = self.case
        known = {other.period: other for other in case.others}
        cycles: list[cap.Cycle] = []
        for place, period in enumerate(case.cycles):
            goal = None if goals is None else goals[place]
            if place == case.place:
                cycles.append(cap.Cycle(quantity, goal))
                continue
            other = known.get(period)
            billed = None if other is None else other.quantity
            counted = (goal if contracted else None) if other is None or other.counted is None else other.counted
            if counted is None and self._needs(mode, place, billed):
                raise refusals.history_missing(period.label)
            cycles.append(cap.Cycle(counted or 0, goal, billed))
        return cycles

    def _needs(self, mode: CapMode, place: int, billed: int | None) -> bool:
        case = self.case
        if not spread.live_time(case.flight.start, case.flight.end, case.cycles[place]):
            return False
        if mode is CapMode.CUMULATIVE:
            return place < case.place and billed is None
        if mode is CapMode.CUMULATIVE_PER_CYCLE:
            return place < case.place or billed is not None
        return False

    # ------------------------------------------------------------ what both ways share
    def _check_size(self, units: int) -> None:
        price = self.case.price
        share = MICROS - price.commission_ppm if price.basis is PriceBasis.NET and self.case.agency_billed else MICROS
        # Tax at most doubles the amount, and it has to stay below 2**63.
        if price.rate * units * MICROS >= 2**62 * per(price.method) * share:
            raise refusals.amount_too_large(units)

    def _check_flight(self) -> None:
        if self.case.flight.end is None:
            raise refusals.flight_open()
        try:
            spread.time_weights(self.case.flight, self.case.cycles)
        except ValueError:
            raise refusals.flight_outside() from None

    def _cycle_goals(self, total: int | None, *, needed: bool) -> tuple[int, ...] | None:
        case = self.case
        if needed:
            if total is None:
                raise refusals.no_contract_quantity(case.price.method.value)
            self._check_flight()
        if total is None or case.flight.end is None:
            return None
        try:
            return spread.cycle_quantities(total, case.flight, case.flights, case.goal, case.cycles)
        except ValueError:
            # The booked part of a period is only shown here; no amount depends on it.
            return None

    def _is_last_live(self) -> bool:
        case = self.case
        live = [cycle for cycle in case.cycles if spread.live_time(case.flight.start, case.flight.end, cycle)]
        return bool(live) and case.period == live[-1]

    def _delivery_flags(self, seen: int | None, booked: int | None) -> None:
        if seen is None or not booked or not self.case.period_over:
            return
        if seen * MICROS < booked * (MICROS - self.rules.under_delivery_ppm):
            self.flags.append(Flag.UNDER_DELIVERY)
            sentence = f"{seen:,} of {booked:,} booked units were delivered."
            self.why.add(Rule.DELIVERY, "under_delivery", sentence, delivered=seen, booked=booked)
        if seen == 0 and live_hours(self.case) > self.rules.no_delivery_after_hours:
            self.flags.append(Flag.NO_DELIVERY)

    def _nothing(self, booked: int | None = None) -> Billable:
        nothing = Money.zero(self.case.price.currency)
        unit = BILLED_UNIT[self.case.price.method]
        return self._priced(agency.Split(nothing, nothing), None if unit is None else 0, booked)

    def _priced(
        self,
        split: agency.Split,
        quantity: int | None,
        booked: int | None,
        bonus: int = 0,
        count: Counted | None = None,
    ) -> Billable:
        case, price = self.case, self.case.price
        if split.commission.micros:
            sentence = f"Of {shown_amount(split.gross)} the agency keeps {shown_amount(split.commission)}."
            self.why.add(
                Rule.COMMISSION, split.commission.amount, sentence, ppm=price.commission_ppm, basis=price.basis.value
            )
        taxed = tax.estimate(split.net, case.tax_ppm or 0)
        if case.tax_ppm is not None:
            sentence = f"Tax on {shown_amount(split.net)} is estimated at {shown_amount(taxed)}; the ERP computes it."
            self.why.add(Rule.TAX, taxed.amount, sentence, ppm=case.tax_ppm)
        return Billable(
            line_id=case.line_id,
            order_id=case.order_id,
            period=case.period,
            unit=BILLED_UNIT[price.method],
            quantity=quantity,
            delivered=None if count is None else count.delivered,
            counted=None if count is None else count.quantity,
            booked=booked,
            bonus=bonus,
            bonus_value=cost(price, bonus) if bonus else None,
            rate=price.rate,
            amounts=Amounts.of(split.gross, split.commission, taxed),
            source=None if count is None else count.source,
            counted_by="" if count is None else count.counted_by,
            flags=tuple(dict.fromkeys(self.flags)),
            steps=self.why.steps,
            rules=self.rules.version,
            inputs_hash=case.content_hash(),
        )


_CYCLE_CAPS = frozenset({CapMode.PER_CYCLE, CapMode.CUMULATIVE_PER_CYCLE})
