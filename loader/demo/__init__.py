"""The whole product on sample data, on a database and an S3 of its own."""
