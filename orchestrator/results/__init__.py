"""A run on disk: its plan, its journals, its Parquet files, and the rules by which they change."""
