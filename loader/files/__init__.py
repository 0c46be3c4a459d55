"""Reads partners' files: feeds.yml, the file formats, and the values of cells."""
