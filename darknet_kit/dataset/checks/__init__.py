"""What is wrong with a data set before a run is wasted on it; nothing here raises for bad data.

`datafile`, `names` and `lists` look at the text files, `images` and `labels` at one image each,
`duplicates` at all of them together, and `whole` at everything.
"""
