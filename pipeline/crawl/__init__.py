"""From links to pages: fetched politely, kept in an archive, none asked for twice."""
