-- Run once, when PostgreSQL's folder is new: by the container's entry point and by `make services`.
CREATE DATABASE mlflow;
CREATE DATABASE prefect;
