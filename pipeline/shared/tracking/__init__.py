"""A study in MLflow: what is read of it, and the runs that hold it."""
