"""From a source of files to an image set: original bytes in shards, a manifest row per picture."""
