"""Archives as apt sees them: which ones a suite is read from, their state, and what apt says about them.

All wording of apt's messages is known here, or in `deborch_shared.apt` if the other engine reads them too. What is
downloaded or installed from an archive does not belong here: fetched sources are in `sources`, installed packages in
`layers` and `dependencies`.
"""
