"""One job each: files in, the pipeline, files out. Jobs travel to worker processes as plain values."""
