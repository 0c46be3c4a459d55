"""The file formats, one module for each: its `read` gives a stream as a Table. rows.FORMATS lists them."""
