"""The command `media`; each package has one concern.

files      reads partners' files: feeds.yml, formats, values
database   connections, migrations and schema/, the embedded server
agency     clients, CPMs, users
ingestion  loads S3 objects into `staging_media_raw`, and records each attempt as a run
nightly    the dbt build, the nightly flow's lock and messages, `media status`
demo       runs everything on sample data

Each package imports only from those above it. console.py, progress.py and cli.py come last
(checked by tests/python/test_structure.py).
"""
