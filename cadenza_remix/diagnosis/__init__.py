"""What is missing on this machine, and what to do about it; nothing here prints or stops.

- `finding` — what is told of a thing
- `environment` — Python, packages, PyTorch, compiled code, room on the disk
- `separators` — weights, their licence, and whether the rules allow them
- `data` — the challenge's folder against its own lists
"""
