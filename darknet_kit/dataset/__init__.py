"""Other people's annotations to a Darknet data set: convert, subset, class lists."""
