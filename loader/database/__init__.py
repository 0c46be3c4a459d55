"""The database: connections, migrations (schema/) and the embedded server."""
