"""Files that travel with a published model as they stand; they run in its folder, not here."""
