"""What the agency decides: its clients, their CPMs, and who may see what."""
