"""The repeatable search for how the default network is trained."""
