"""KFP components: one file, one function, one step each. Envelopes around `forgery.steps`; never in an image."""

from components.batch import list_pictures, score_shard, summarise_scores
from components.champion import find_champion
from components.decide import decide
from components.deploy import deploy
from components.drift import check_drift
from components.ela import compute_ela
from components.evaluate import evaluate
from components.ingest import ingest, list_source, read_part
from components.retrain import retrain
from components.rollback import rollback
from components.score import score
from components.train import train
from components.validate import validate

__all__ = [
    "check_drift",
    "compute_ela",
    "decide",
    "deploy",
    "evaluate",
    "find_champion",
    "ingest",
    "list_pictures",
    "list_source",
    "read_part",
    "retrain",
    "rollback",
    "score",
    "score_shard",
    "summarise_scores",
    "train",
    "validate",
]
