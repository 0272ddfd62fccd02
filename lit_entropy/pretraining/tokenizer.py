"""The character tokenizer of chain arithmetic: 20 symbols, one token a character."""

from __future__ import annotations

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

PAD, BOS, EOS = "<pad>", "<bos>", "<eos>"
CHARACTERS = "0123456789+-*=;# "


def chain_tokenizer() -> PreTrainedTokenizerFast:
    """A fast tokenizer that ``save_pretrained`` writes and ``AutoTokenizer`` loads.

    Each character is a token, ids 3 and up in the order of ``CHARACTERS``; decoding joins the
    characters without spaces. A character outside the alphabet raises instead of vanishing.
    """
    vocabulary = {symbol: k for k, symbol in enumerate([PAD, BOS, EOS, *CHARACTERS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("[\\s\\S]"), behavior="isolated")
    tokenizer.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=EOS,
        clean_up_tokenization_spaces=False,
        padding_side="left",
        model_max_length=256,
    )
