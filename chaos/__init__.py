"""Real workers, a real database and simulated vendors, killed at random: nothing lost, nothing doubled (`make kill`).

`python -m chaos --kills 50` starts everything, kills, lets it come to rest and asks the vendors' true state. Only tests
import this package.
"""
