"""The recipe of the shipped base models: data, tokenizer, model sizes, training."""
