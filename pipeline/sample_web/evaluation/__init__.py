"""Sample evaluation files in the published formats, made from documentation off the web."""
