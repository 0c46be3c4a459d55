"""The loader: partners' files in S3 become rows of `staging_media_raw`."""
