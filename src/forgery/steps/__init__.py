"""What each pipeline step does, as one function a step; a component is an envelope around it.

A step reads and writes folders and files it is given. `step` frames it: logs for machines in a pod, and one clear
last line when it fails, since that line is all the Kubeflow UI can show of a failure.
"""

from forgery.steps.frame import step

__all__ = ["step"]
