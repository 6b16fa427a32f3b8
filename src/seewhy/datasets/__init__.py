"""Many images: read from folders, archives and tables, explained in parts, and written as Parquet."""
