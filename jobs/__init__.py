"""The main job and the command line.

``trainer`` asks PyTorch's threads to wait asleep, which is read when torch is loaded. Here spaCy (under Presidio) loads
torch long before ``trainer`` is imported, so the same is asked first thing: beside other work, a small training took
585 s spinning that takes 130 s sleeping.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
