"""A strict stand-in for Xero's accounting API: invoices, credit notes, allocations, payments, contacts, limits and keys."""

from sandbox.xero.process import build, main, serve

__all__ = ["build", "main", "serve"]
