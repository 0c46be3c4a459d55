"""Loads S3 objects into `staging_media_raw`, and records each attempt as a run in `ingestion_logs`."""
