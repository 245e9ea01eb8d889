"""A training by several pods: the job that Kubeflow's training operator runs, and what travels to it and back."""
