"""The verbs of Orderhub: the `orderhub` command and the demo it can play."""
