"""The demo: one command that starts everything on this machine, lets an order book travel, and checks the result."""
