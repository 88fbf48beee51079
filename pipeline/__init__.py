"""The stages of the study: a folder is a stage, a file is shared by several."""

import os

# Waiting OpenMP threads must sleep, not spin. On two cores shared with other work a training step
# with spinning threads was measured 19 times slower (545 against 10,442 tokens/s). The runtime
# reads this once, when torch is loaded, so it stands where every stage passes first.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
