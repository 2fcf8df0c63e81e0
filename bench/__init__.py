"""The bench: what likewise does on this machine, each figure beside its limit, measured in the same run.

`python -m bench` measures everything, `python -m bench hot-puts bulk` some; docs/bench.md says how to read it.
"""
