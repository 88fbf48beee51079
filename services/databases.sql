-- Run by psql: by the container's entry point when PostgreSQL's folder is new, and by every start of
-- `make services`, of which the first may have been killed.
SELECT 'CREATE DATABASE ' || name FROM unnest(ARRAY['mlflow', 'prefect']) AS name
WHERE name NOT IN (SELECT datname FROM pg_database)
\gexec
