"""The checkout that a run has to itself: its parameters, devices and what kills have left."""
