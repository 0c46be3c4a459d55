"""The dbt build, the nightly flow's lock and messages, and `media status`."""
