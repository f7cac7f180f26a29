"""The project's own simulated cluster: node physics, a timetable of jobs, and the files a site would have.

Everything is a function of (seed, UTC day), so what was simulated once stays as it was when the simulation is carried
on later. Pure numpy, but for `site`, `helper` and `live`, which send the files through the pipeline.
"""
