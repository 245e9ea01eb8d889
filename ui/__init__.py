"""The page for people: pictures in, verdict and evidence to look at. A client of the v2 endpoint and nothing else."""
