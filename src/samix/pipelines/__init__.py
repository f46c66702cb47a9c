"""Kedro pipelines, one package a stage. Nodes are thin and import what is heavy when they run."""
