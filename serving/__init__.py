"""The InferenceService: a transformer that prepares and explains, a predictor that decides."""
