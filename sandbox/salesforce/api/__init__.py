"""The REST resources of the simulated org and the WSGI application that serves them."""
