"""Runs files of cases against meshproxy's own objects: `python -m tests.vectors FILE...`."""
