"""The clock: one thin file per flow. A file says when a flow runs and in which order; what is done stands in `hub`."""
