"""The dictionary of Orderhub: mapping files, and the compiler that turns one into two plain functions."""
