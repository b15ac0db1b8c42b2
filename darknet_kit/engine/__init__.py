"""What runs a network: finding and building darknet, and its command lines per flavour."""
