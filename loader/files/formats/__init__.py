"""The file formats, one module each; its `read` returns a Table. rows.FORMATS lists them."""
