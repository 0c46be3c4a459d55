"""The agency's own data: its clients, their CPMs, and its users."""
