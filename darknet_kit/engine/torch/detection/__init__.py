"""From what heads see to boxes, and from boxes to average precision."""
