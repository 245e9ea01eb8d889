"""Fitting a network on an evidence set and exporting it as a draft bundle. Needs TensorFlow."""
