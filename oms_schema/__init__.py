"""The canonical language of Orderhub: orders, lines, money, ids and status machines. Pure: no I/O, no clock, no database."""
