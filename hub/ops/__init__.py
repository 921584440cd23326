"""What the people who watch ask: how is it, where is my order, what waits for whom."""
