"""The database: connections, migrations with schema/, and the embedded server."""
