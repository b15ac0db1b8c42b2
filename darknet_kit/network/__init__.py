"""Networks as Darknet cfg files: models, schedule, heads, layer shapes.

`model` writes a cfg from an architecture (`draft`, `yolov3`, `yolov4`, `nano`), `schedule`,
`heads` and `size` hold the rules that it shares with `check`, and `layers` computes what an
engine would build from any cfg.
"""
