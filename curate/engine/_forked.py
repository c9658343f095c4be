"""The first module of the process that workers are forked from, before whatever may import numpy."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # a worker is one core's: more threads than that only spin
