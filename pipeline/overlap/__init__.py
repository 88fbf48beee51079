"""The overlap stage: is the gain memory?"""
