"""Billing: what was delivered, what of it may be billed, and what was billed and paid."""
