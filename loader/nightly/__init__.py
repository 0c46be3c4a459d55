"""The dbt build, what the nightly flow reports, and what `media status` shows."""
