"""`synapse new`: a new model, metric or source in house style, which passes lint as it is."""
