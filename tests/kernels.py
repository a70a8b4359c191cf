"""Compile all kernels into the cache, for both types: ``python -m tests.kernels``."""

from anc_core.dsp.jit import warmup

if __name__ == "__main__":
    warmup("float32", "float64")
