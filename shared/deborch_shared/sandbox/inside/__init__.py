"""The helper process of one sandbox (`keeper`) and the commands that it starts.

Standard library only, one thread, so that `fork` is safe. The private mount namespace belongs to this process:
when it dies, by whatever cause, every mount goes with it and the host never saw one. No asyncio, no settings.
"""
