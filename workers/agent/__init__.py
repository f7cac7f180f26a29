"""The node agent: reads a node's energy counters and power sensors and sends them to a Joulebook.

It runs on compute nodes, on Python 3.9 or newer and nothing else: no Django, no module of the site. `make agent`
makes one file of it (`build.py`).
"""

VERSION = "0.1"
