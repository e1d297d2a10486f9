"""What deb-mock is set to: layers of files and options, each value with where it came from.

`resolve.resolve` reads the layers, `settings.Settings` says what may be written and checks it, `engine_settings` turns
it into what the engine takes. How anything is built does not belong here, and the engine does not know of it.
"""
