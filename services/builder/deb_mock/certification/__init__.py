"""Is a plug-in fit to run in builds? `suite` makes the trials; each says what it looked at and what it found.

It uses the engine as the command line does. What plug-ins see and how they are called belongs to `deb_mock.plugins`.
"""
