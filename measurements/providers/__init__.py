"""Providers of carbon intensity, asked over the network where a site switches one on: a module each.

They know the provider's protocol and nothing of the database. An answer whose shape, zone or basis is not what was
asked for is refused as a whole, with a sentence.
"""
