"""The plug-ins that come with deb-mock, one module each: its options, its hooks, and nothing that another needs.

They use `deb_mock.plugins.api` and what it names, as any plug-in may; `catalogue.SHIPPED` lists them.
"""
