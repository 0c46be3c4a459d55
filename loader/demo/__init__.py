"""Runs the whole product on sample data, with its own database and its own S3."""
