"""The command `media` and what it does; each package below has one concern.

files      what a partner's file says: feeds.yml, formats, values
database   connections, migrations and schema/, the embedded server
agency     what the agency decides: clients, CPMs, users
ingestion  S3 objects become rows of `staging_media_raw`, with a run in the ledger for each attempt
nightly    the dbt build, the nightly flow's report, `media status`
demo       all of it on sample data

Each imports only from those above it; console.py, progress.py and cli.py come last
(tests/python/test_structure.py).
"""
