"""The character tokenizer of chain arithmetic: 21 symbols, one token a character."""

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

PAD, BOS, EOS, UNKNOWN = "<pad>", "<bos>", "<eos>", "<unk>"
CHARACTERS = "0123456789+-*=;# "
#: The byte-level alphabet writes a space as this letter.
SPACE = "\u0120"


def chain_tokenizer() -> PreTrainedTokenizerFast:
    """A fast tokenizer that ``save_pretrained`` writes and ``AutoTokenizer`` loads.

    Each character is a token, ids 4 and up in the order of ``CHARACTERS``; decoding joins the
    characters without spaces. It is a byte-level BPE without merges, because for a Qwen2 folder
    ``AutoTokenizer`` (transformers 5) rebuilds exactly that pipeline from the stored vocabulary
    and ignores any other one, silently. Characters outside the alphabet are dropped, as there.
    """
    symbols = [PAD, BOS, EOS, UNKNOWN, *CHARACTERS.replace(" ", SPACE)]
    tokenizer = Tokenizer(models.BPE({symbol: k for k, symbol in enumerate(symbols)}, []))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=EOS,
        unk_token=UNKNOWN,
        clean_up_tokenization_spaces=False,
        padding_side="left",
        model_max_length=256,
    )
