"""One of several workers in a process of its own: `train_as_worker.py EVIDENCE OUT CONFIG_JSON`, with TF_CONFIG set.

The chief prints its history, another worker nothing.
"""

import json
import logging
import os
import sys
from pathlib import Path

from forgery.config import RunConfig
from forgery.training.train import assist, train

logging.basicConfig(level=logging.INFO)
evidence, out, config = Path(sys.argv[1]), Path(sys.argv[2]), RunConfig.read(json.loads(sys.argv[3]))
if json.loads(os.environ["TF_CONFIG"])["task"]["index"] == 0:
    print(json.dumps(train(evidence, out, config, None, "run").history))
else:
    assist(evidence, config, None)
