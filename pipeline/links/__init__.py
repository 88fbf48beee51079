"""Which pages to fetch: from submissions to Reddit to a list of links."""
