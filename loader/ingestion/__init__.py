"""From S3 objects to rows of `staging_media_raw`, with a run in `ingestion_logs` for each attempt."""
