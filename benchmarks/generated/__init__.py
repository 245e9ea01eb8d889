"""Recipes of whole pictures on pictures that were enlarged as generators enlarge theirs."""
