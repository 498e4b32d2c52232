"""Decoding: from the weights of a network with one hidden layer to a program, beyond the paper.

`activations`, `groups` and `tied` say what a tied network is, `description` how long it takes to say, `decode` looks
for the shortest; `program` is what it finds, `terms` what that adds up, and `printers` write that down.
"""
