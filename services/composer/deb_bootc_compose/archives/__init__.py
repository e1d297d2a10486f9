"""APT repositories, read and written: where a treefile's packages come from, apt's lists of them, small repositories.

apt itself reads and verifies, by a configuration of its own in which nothing of the host's but its way to the network
is left. Which packages a compose takes of them is decided in `gather`, not here.
"""
