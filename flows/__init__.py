"""A second way to start the chain: Prefect runs the DVC stages, shows and schedules them."""
