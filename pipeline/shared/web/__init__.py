"""The web as stages know it: URLs, hosts, media types, bodies, files at URLs."""
