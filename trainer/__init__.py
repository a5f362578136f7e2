"""Training small models on token shards, to judge the data.

PyTorch's CPU threads wait for each other after every product. By default they wait by spinning; on a machine that does
other work too, a spinning thread holds the very core that the late one needs (two threads on two busy cores: 160
tokens/s spinning, 830 sleeping, at equal results). The policy is read when torch is loaded, hence here.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
