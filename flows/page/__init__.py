"""The study on Prefect's page: its runs, their stages and lines, what each left, and the drift."""
