"""Figure 4s of several studies or replicates in one figure, table and page."""
