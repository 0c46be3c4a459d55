"""What a partner's file says: feeds.yml, the formats, and from a cell's text to a value."""
