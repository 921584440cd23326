"""The ERP that demo and scenarios run against: a real Tryton 8.0, started as a process of its own and spoken to over HTTP."""
