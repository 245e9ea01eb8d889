"""Score a source of any size with the model in service: a listing in shards, a Parquet file for each, a summary."""
