"""The canonical language of Orderhub: orders, lines, money, ids, status machines. Pure: no I/O, clock or database."""
